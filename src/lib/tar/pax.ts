/** pax extended headers: "LENGTH KEY=VALUE\n" records (POSIX.1-2017, pax, "pax Extended Header"). */
import { badTar } from "#lib/tar/entry.ts";
import { decodeName, encodeName } from "#lib/tar/name-bytes.ts";
import { parseDecimal } from "#lib/tar/numeric.ts";

export const XATTR_PREFIX = "SCHILY.xattr.";

export interface PaxRecords {
  /** Values stay bytes: extended attributes are binary. */
  readonly values: Map<string, Uint8Array>;
  /** GNU sparse format 0.0 repeats its keys; here as offset, length, offset, length … */
  readonly sparsePairs: number[];
}

const SPACE = 0x20;
const NEWLINE = 0x0a;
const EQUALS = 0x3d;

/** Parses the body of an extended header. `name` is for the error message. */
export const parsePax = (body: Uint8Array, name: string): PaxRecords => {
  const values = new Map<string, Uint8Array>();
  const sparsePairs: number[] = [];
  for (let at = 0; at < body.length;) {
    const space = body.indexOf(SPACE, at);
    const digits = space > at && space - at < 9 ? decodeName(body.subarray(at, space)) : "";
    const length = parseDecimal(digits) ?? 0;
    const end = at + length;
    if (end <= space + 1 || end > body.length || body[end - 1] !== NEWLINE) {
      throw badTar(name, `has a damaged pax record at byte ${at}`);
    }
    const equals = body.indexOf(EQUALS, space + 1);
    if (equals === -1 || equals >= end) throw badTar(name, "has a pax record without a value");
    const key = decodeName(body.subarray(space + 1, equals));
    const value = body.subarray(equals + 1, end - 1);
    if (key === "GNU.sparse.offset" || key === "GNU.sparse.numbytes") {
      const isOffset = key === "GNU.sparse.offset";
      const number = parseDecimal(decodeName(value));
      if (number === undefined || (sparsePairs.length % 2 === 0) !== isOffset) {
        throw badTar(name, "has a damaged sparse map");
      }
      sparsePairs.push(number);
    } else {
      values.set(key, value);
    }
    at = end;
  }
  return { values, sparsePairs };
};

/** "=" ends a key, so GNU tar writes it as %3D in attribute names. */
export const decodeXattrKey = (key: string): string =>
  key.slice(XATTR_PREFIX.length).replaceAll("%3D", "=").replaceAll("%25", "%");

export const encodeXattrKey = (name: string): string =>
  XATTR_PREFIX + name.replaceAll("%", "%25").replaceAll("=", "%3D");

/** One record. Its length counts its own digits. */
export const formatPaxRecord = (key: string, value: Uint8Array): Uint8Array => {
  const keyBytes = encodeName(key);
  const rest = keyBytes.length + value.length + 3; // blank, "=", newline
  let length = rest + String(rest).length;
  if (String(length).length > String(rest).length) length = rest + String(length).length;
  return Buffer.concat([
    Buffer.from(`${length} `, "latin1"),
    keyBytes,
    Buffer.from("=", "latin1"),
    value,
    Buffer.from("\n", "latin1"),
  ]);
};
