/** A directory as a stream of tar entries, without what .dockerignore leaves out. */
import type * as nodeFs from "node:fs";
import { NaruError } from "#lib/errors.ts";
import { NO_XATTRS, type TarEntry, type TarEntryType, plainEntry } from "#lib/tar/entry.ts";
import { TAR_END, tarHeader, tarPadding } from "#lib/tar/writer.ts";
import {
  type IgnoreState,
  IgnoreMatcher,
  parseDockerignore,
} from "#spec/dockerfile/dockerignore.ts";

const CHUNK_BYTES = 1024 * 1024;
/** Small pieces are sent together. */
const GATHER_BYTES = 256 * 1024;

export interface ContextTotals {
  files: number;
  bytes: number;
}

const typeOf = (stat: nodeFs.BigIntStats): TarEntryType | undefined => {
  if (stat.isFile()) return "file";
  if (stat.isDirectory()) return "directory";
  if (stat.isSymbolicLink()) return "symlink";
  return stat.isFIFO() ? "fifo" : undefined;
};

const entryOf = (
  name: string,
  type: TarEntryType,
  stat: nodeFs.BigIntStats,
  linkName: string,
): TarEntry => ({
  type,
  name,
  linkName,
  mode: Number(stat.mode) & 0o7777,
  // Who owns the files here means nothing there.
  uid: 0,
  gid: 0,
  userName: "",
  groupName: "",
  size: type === "file" ? Number(stat.size) : 0,
  mtime: {
    seconds: Number(stat.mtimeNs / 1_000_000_000n),
    nanoseconds: Number(stat.mtimeNs % 1_000_000_000n),
  },
  deviceMajor: 0,
  deviceMinor: 0,
  xattrs: NO_XATTRS,
});

export const inlineHeader = (name: string, size: number): Uint8Array =>
  tarHeader(plainEntry(name, { size }));

/** A file that is no file here. */
export function* inlineEntry(name: string, content: Uint8Array): Generator<Uint8Array, void> {
  yield inlineHeader(name, content.length);
  yield content;
  yield tarPadding(content.length);
}

type Files = Pick<
  typeof nodeFs,
  "closeSync" | "lstatSync" | "openSync" | "readSync" | "readdirSync" | "readlinkSync"
>;

export type ReadFiles = Pick<typeof nodeFs, "closeSync" | "openSync" | "readSync">;

/** A header has promised the size: what grew meanwhile is cut, what shrank is filled up. */
export function* fileContent(
  fs: ReadFiles,
  path: string,
  sizeBytes: number,
): Generator<Uint8Array, void> {
  const fd = fs.openSync(path, "r");
  try {
    for (let left = sizeBytes; left > 0;) {
      const chunk = Buffer.allocUnsafeSlow(Math.min(left, CHUNK_BYTES));
      const count = fs.readSync(fd, chunk, 0, chunk.length, null);
      if (count === 0) chunk.fill(0);
      yield count === 0 ? chunk : chunk.subarray(0, count);
      left -= count === 0 ? chunk.length : count;
    }
  } finally {
    fs.closeSync(fd);
  }
}

class ContextWalk {
  readonly #fs: Files;
  readonly #root: string;
  readonly #prefix: string;
  readonly #matcher: IgnoreMatcher;
  readonly #totals: ContextTotals;

  constructor(fs: Files, root: string, prefix: string, ignore: string, totals: ContextTotals) {
    this.#fs = fs;
    this.#root = root;
    this.#prefix = prefix;
    this.#matcher = new IgnoreMatcher(parseDockerignore(ignore));
    this.#totals = totals;
  }

  *entries(): Generator<Uint8Array, void> {
    yield* this.#directory("", this.#matcher.root);
  }

  *#directory(path: string, state: IgnoreState): Generator<Uint8Array, void> {
    const directory = path === "" ? this.#root : `${this.#root}/${path}`;
    for (const name of this.#fs.readdirSync(directory).toSorted()) {
      const child = path === "" ? name : `${path}/${name}`;
      const own = this.#matcher.enter(child, state);
      const stat = this.#fs.lstatSync(`${this.#root}/${child}`, {
        bigint: true,
        throwIfNoEntry: false,
      });
      if (stat === undefined) continue; // Gone since it was listed.
      if (own.isIgnored && !(stat.isDirectory() && this.#matcher.canHoldExceptions(child)))
        continue;
      yield* this.#node(child, stat, own);
    }
  }

  *#node(path: string, stat: nodeFs.BigIntStats, state: IgnoreState): Generator<Uint8Array, void> {
    const type = typeOf(stat);
    if (type === undefined) return; // Sockets and devices are no part of a context.
    const name = this.#prefix + path;
    if (type === "file") {
      yield* this.#file(path, name, stat);
      return;
    }
    const link = type === "symlink" ? this.#fs.readlinkSync(`${this.#root}/${path}`) : "";
    // An ignored directory is made when something below it comes.
    if (!state.isIgnored) yield tarHeader(entryOf(name, type, stat, link));
    if (type === "directory") yield* this.#directory(path, state);
  }

  *#file(path: string, name: string, stat: nodeFs.BigIntStats): Generator<Uint8Array, void> {
    const size = Number(stat.size);
    yield tarHeader(entryOf(name, "file", stat, ""));
    yield* fileContent(this.#fs, `${this.#root}/${path}`, size);
    yield tarPadding(size);
    this.#totals.files += 1;
    this.#totals.bytes += size;
  }
}

export interface PackedDirectory {
  readonly root: string;
  /** "context/". */
  readonly prefix: string;
  /** Text of a .dockerignore. */
  readonly ignore: string;
}

function* pieces(
  fs: Files,
  dockerfile: Uint8Array | undefined,
  directories: readonly PackedDirectory[],
  totals: ContextTotals,
): Generator<Uint8Array, void> {
  if (dockerfile !== undefined) yield* inlineEntry("Dockerfile", dockerfile);
  for (const { root, prefix, ignore } of directories) {
    yield* new ContextWalk(fs, root, prefix, ignore, totals).entries();
  }
  yield TAR_END;
}

/** Small pieces together; what cannot be read is told as such. */
export function* gathered(source: Iterable<Uint8Array>): Generator<Uint8Array, void> {
  let held: Uint8Array[] = [];
  let bytes = 0;
  try {
    for (const piece of source) {
      held.push(piece);
      bytes += piece.length;
      if (bytes < GATHER_BYTES) continue;
      yield Buffer.concat(held);
      held = [];
      bytes = 0;
    }
  } catch (error) {
    const code: unknown = Reflect.get(Object(error), "code");
    if (code !== "EACCES") throw error;
    throw new NaruError("permission_denied", `cannot read the build context: ${String(error)}`, {
      cause: error,
    });
  }
  if (bytes > 0) yield Buffer.concat(held);
}

/** The body of a build. Reads as it is asked; `totals` grow meanwhile. */
export async function* packBuild(
  dockerfile: Uint8Array | undefined,
  directories: readonly PackedDirectory[],
  totals: ContextTotals,
): AsyncGenerator<Uint8Array, void> {
  const fs = await import("node:fs");
  yield* gathered(pieces(fs, dockerfile, directories, totals));
}
