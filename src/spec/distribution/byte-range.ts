/** Byte ranges: of blobs (RFC 9110 §14.1.2) and of upload chunks (distribution-spec 1.1.1, "Pushing a blob in chunks"). */

/** Both ends inclusive, as on the wire. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

const UNIT = /^bytes=(.*)$/i;
const RANGE = /^(\d*)[ \t]*-[ \t]*(\d*)$/;

/** Elements of a list may be empty (RFC 9110 §5.6.1). */
const onlyElement = (list: string): string | undefined => {
  const elements = list.split(",").flatMap((element) => element.trim() || []);
  return elements.length === 1 ? elements[0] : undefined;
};

/**
 * The one range asked for of a content of `sizeBytes`. undefined: no range, or several, or another unit, and the
 * whole content is the answer (RFC 9110 §14.2). "unsatisfiable": 416.
 */
export const parseRange = (
  field: string | undefined,
  sizeBytes: number,
): ByteRange | "unsatisfiable" | undefined => {
  const match = RANGE.exec(onlyElement(UNIT.exec(field ?? "")?.[1] ?? "") ?? "");
  if (match === null) return undefined;
  const [, from = "", to = ""] = match;
  if (from === "") {
    if (to === "") return undefined;
    const length = Math.min(Number(to), sizeBytes);
    return length === 0 ? "unsatisfiable" : { first: sizeBytes - length, last: sizeBytes - 1 };
  }
  const first = Number(from);
  // RFC 9110 lets a range that ends before it begins be ignored; the spec's conformance program wants 416.
  if (first >= sizeBytes || (to !== "" && Number(to) < first)) return "unsatisfiable";
  return { first, last: to === "" ? sizeBytes - 1 : Math.min(Number(to), sizeBytes - 1) };
};

/** Content-Range of an upload's chunk: "0-1023", also as "bytes 0-1023/*". null: malformed. */
export const parseChunkRange = (field: string | undefined): ByteRange | null | undefined => {
  if (field === undefined) return undefined;
  const match = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\*|\d+))?$/.exec(field.trim());
  if (match === null) return null;
  const first = Number(match[1]);
  const last = Number(match[2]);
  return last < first ? null : { first, last };
};
