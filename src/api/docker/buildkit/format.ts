/** How layers and manifests are to be written: attributes that exporters of images and of caches share (pure). */
import type { Attributes } from "#api/docker/buildkit/attributes.ts";
import type { LayerFormat } from "#image/bundle.ts";
import { NaruError } from "#lib/errors.ts";

const invalid = (name: string, value: string, expected: string): NaruError =>
  new NaruError("invalid_argument", `"${name}=${value}" is not understood: expected ${expected}`);

/** As Go's strconv.ParseBool; absent: `fallback`. */
export const flagOf = (attributes: Attributes, name: string, fallback: boolean): boolean => {
  const value = attributes[name] ?? "";
  if (value === "") return attributes[name] === undefined ? fallback : true;
  if (["1", "t", "T", "true", "TRUE", "True"].includes(value)) return true;
  if (["0", "f", "F", "false", "FALSE", "False"].includes(value)) return false;
  throw invalid(name, value, "true or false");
};

const LEVELS = { gzip: [0, 9], zstd: [1, 22], uncompressed: [0, 0] } as const;

export const FORMAT_KEYS: readonly string[] = [
  "compression",
  "compression-level",
  "force-compression",
  "oci-mediatypes",
];

/** Throws invalid_argument; not_implemented for estargz. */
export const formatOf = (attributes: Attributes, isOciDefault: boolean): LayerFormat => {
  const compression = attributes["compression"] || "gzip";
  if (compression === "estargz") {
    const remedy = "use gzip, zstd or uncompressed";
    throw new NaruError("not_implemented", `compression=estargz is not supported: ${remedy}`);
  }
  if (compression !== "gzip" && compression !== "zstd" && compression !== "uncompressed") {
    throw invalid("compression", compression, "gzip, zstd or uncompressed");
  }
  const given = attributes["compression-level"] ?? "";
  const level = given === "" ? undefined : Number(given);
  const [least, most] = LEVELS[compression];
  if (level !== undefined && !Number.isInteger(level)) {
    throw invalid("compression-level", given, "a number");
  }
  return {
    compression,
    // As BuildKit does, what is out of range is the nearest there is.
    level: level === undefined ? undefined : Math.min(most, Math.max(least, level)),
    isForced: flagOf(attributes, "force-compression", false),
    isOci: flagOf(attributes, "oci-mediatypes", isOciDefault),
  };
};
