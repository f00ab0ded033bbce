/** `--cache-from` and `--cache-to`: what is asked for, and directories of this machine. */
import { existsSync, mkdirSync } from "node:fs";
import type { PackedDirectory } from "#cli/build/context-tar.ts";
import { fieldsOf } from "#cli/build/inputs.ts";
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
    if (type !== "local" || !existsSync(root)) return [];
    return [{ root, prefix: `caches/${position}/`, ignore: "" }];
  });

interface Writer {
  write(data: Uint8Array): Promise<void>;
  end(): Promise<void>;
}

const writerTo = (directory: string): Writer => {
  mkdirSync(directory, { recursive: true });
  const child = Bun.spawn(["tar", "-x", "-f", "-", "-C", directory], {
    stdin: "pipe",
    stdout: "ignore",
    stderr: "pipe",
  });
  return {
    write: async (data) => {
      await child.stdin.write(data);
      await child.stdin.flush();
    },
    end: async () => {
      await child.stdin.end();
      const [code, complaint] = await Promise.all([child.exited, child.stderr.text()]);
      if (code === 0) return;
      throw new NaruError("internal", `cannot write the cache "${directory}": ${complaint.trim()}`);
    },
  };
};

/** The layouts that come back, each into its directory. */
export class CacheWriters {
  readonly #caches: readonly CacheWish[];
  readonly #writers = new Map<number, Writer>();

  constructor(caches: readonly CacheWish[]) {
    this.#caches = caches;
  }

  /** `data`: base64 of a piece of a tar; "" ends it. */
  async take(position: number, data: string): Promise<void> {
    const directory = this.#caches[position]?.attributes["dest"] ?? "";
    if (directory === "") throw new NaruError("internal", "a cache that nobody asked for");
    const writer = this.#writers.get(position) ?? writerTo(directory);
    this.#writers.set(position, writer);
    if (data === "") await writer.end();
    else await writer.write(Buffer.from(data, "base64"));
  }
}
