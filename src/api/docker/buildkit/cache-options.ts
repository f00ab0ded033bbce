/** `--cache-from` and `--cache-to` as they come over the wire: understood, or refused by name (pure). */
import type { Attributes } from "#api/docker/buildkit/attributes.ts";
import { FORMAT_KEYS, flagOf, formatOf } from "#api/docker/buildkit/format.ts";
import type { CacheExportOptions } from "#build/cache-export.ts";
import { NaruError } from "#lib/errors.ts";
import { type Digest, isDigest, parseDigest } from "#spec/image/digest.ts";
import { parseReference } from "#spec/image/reference.ts";

export interface CacheEntry {
  readonly type: string;
  readonly attributes: Attributes;
}

export type CacheImport =
  | { readonly kind: "registry"; readonly reference: string }
  /** A directory of the client; `digest` is what its index says. */
  | { readonly kind: "local"; readonly directory: string; readonly digest: Digest };

export type CacheExport =
  | { readonly kind: "inline" }
  | ({ readonly isErrorIgnored: boolean; readonly options: CacheExportOptions } & (
      | { readonly kind: "registry"; readonly reference: string }
      | { readonly kind: "local"; readonly directory: string }
    ));

const refuse = (side: string, type: string): NaruError =>
  new NaruError(
    "not_implemented",
    `cache ${side} "${type}" is not supported by naru: use registry, local or inline`,
  );

const need = ({ type, attributes }: CacheEntry, name: string): string => {
  const value = attributes[name] ?? "";
  if (value !== "") return value;
  throw new NaruError("invalid_argument", `a cache of type "${type}" needs "${name}"`);
};

const checkKeys = ({ type, attributes }: CacheEntry, known: readonly string[]): void => {
  for (const name of Object.keys(attributes)) {
    if (known.includes(name)) continue;
    const what = `option "${name}" of a cache of type "${type}"`;
    throw new NaruError("not_implemented", `${what} is not supported: leave it out`);
  }
};

/** Throws invalid_argument and not_implemented. */
export const importOf = (entry: CacheEntry): CacheImport => {
  const { type, attributes } = entry;
  if (type === "registry") {
    checkKeys(entry, ["ref"]);
    const reference = need(entry, "ref");
    parseReference(reference);
    return { kind: "registry", reference };
  }
  if (type !== "local") throw refuse("import", type);
  checkKeys(entry, ["src", "digest", "tag"]);
  const digest = attributes["digest"] ?? "";
  if (!isDigest(digest)) {
    throw new NaruError("invalid_argument", `the local cache came with the digest "${digest}"`);
  }
  return { kind: "local", directory: need(entry, "src"), digest: parseDigest(digest) };
};

const EXPORT_KEYS = ["mode", "image-manifest", "ignore-error", ...FORMAT_KEYS];

/** Throws invalid_argument and not_implemented. */
export const exportOf = (entry: CacheEntry): CacheExport => {
  const { type, attributes } = entry;
  if (type === "inline") {
    checkKeys(entry, ["mode"]);
    return { kind: "inline" };
  }
  if (type !== "registry" && type !== "local") throw refuse("export", type);
  const place = type === "registry" ? "ref" : "dest";
  // The tag of a directory's index is the client's affair.
  checkKeys(entry, [...EXPORT_KEYS, place, ...(type === "local" ? ["tag"] : [])]);
  const mode = attributes["mode"] || "min";
  if (mode !== "min" && mode !== "max") {
    throw new NaruError("invalid_argument", `mode=${mode} is not understood: use min or max`);
  }
  const where = need(entry, place);
  const format = formatOf(attributes, true);
  const { isOci } = format;
  const isImageManifest = flagOf(attributes, "image-manifest", isOci);
  if (isImageManifest && !isOci) {
    const reason = "OCI mediatypes are required for image-manifest cache format";
    throw new NaruError("invalid_argument", `${reason}: leave oci-mediatypes=false out`);
  }
  const options: CacheExportOptions = { mode, format, isImageManifest };
  const isErrorIgnored = flagOf(attributes, "ignore-error", false);
  if (type === "local") return { kind: "local", directory: where, isErrorIgnored, options };
  parseReference(where);
  return { kind: "registry", reference: where, isErrorIgnored, options };
};

const isEntry = (value: unknown): value is { Type: string; Attrs?: Attributes } =>
  typeof value === "object" && value !== null && typeof (value as never)["Type"] === "string";

/** "cache-imports": a list as JSON; "cache-from", of older clients: images. Each for `importOf`. */
export const importsIn = (attributes: Attributes): CacheEntry[] => {
  const text = attributes["cache-imports"] ?? "";
  const given: unknown = text === "" ? [] : JSON.parse(text);
  if (!Array.isArray(given) || !given.every(isEntry)) {
    throw new NaruError("invalid_argument", '"cache-imports" is no list of caches');
  }
  const images = (attributes["cache-from"] ?? "").split(",").filter((name) => name !== "");
  return [
    ...given.map(({ Type, Attrs }) => ({ type: Type, attributes: Attrs ?? {} })),
    ...images.map((ref) => ({ type: "registry", attributes: { ref } })),
  ];
};
