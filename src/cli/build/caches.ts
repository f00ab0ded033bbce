/** `--cache-from` and `--cache-to`: what is asked for, and directories of this machine. */
import type { PackedDirectory } from "#cli/build/context-tar.ts";
import { fieldsOf } from "#cli/build/inputs.ts";
import { PieceWriters } from "#cli/build/piece-writers.ts";
import { unpackInto } from "#cli/build/unpack.ts";
import { isAbsent } from "#kernel/quick-files.ts";
import { NaruError } from "#lib/errors.ts";

export interface CacheWish {
  readonly type: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** "type=registry,ref=…", or an image's name alone. */
export const parseCache = (text: string): CacheWish => {
  if (!text.includes("=")) return { type: "registry", attributes: { ref: text } };
  const fields = fieldsOf(text, "cache");
  const type = fields.get("type") ?? "registry";
  fields.delete("type");
  return { type, attributes: Object.fromEntries(fields) };
};

/** Directories that the engine is sent, by their place among the caches. */
export const cacheDirectories = (caches: readonly CacheWish[]): PackedDirectory[] =>
  caches.flatMap(({ type, attributes }, position) => {
    const root = attributes["src"] ?? "";
    // One that is not there yet is an empty cache.
    if (type !== "local" || isAbsent(root)) return [];
    return [{ root, prefix: `caches/${position}/`, ignore: "" }];
  });

/** The layouts that come back, each into its directory, by their place among the caches. */
export const cacheWriters = (caches: readonly CacheWish[]): PieceWriters =>
  new PieceWriters((position) => {
    const directory = caches[position]?.attributes["dest"] ?? "";
    if (directory === "") throw new NaruError("internal", "a cache that nobody asked for");
    const failure = `cannot write the cache "${directory}"`;
    return unpackInto(directory, { keepsModes: false, failure });
  });
