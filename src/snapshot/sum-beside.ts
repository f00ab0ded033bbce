/**
 * A layer's sums while its files are still being written: whoever writes them tells of each entry once it is whole,
 * in the order of a walk, and this process reads it back from the page cache and hashes it meanwhile. So writing and
 * hashing, the two halves of a large layer, run on two cores.
 *
 * Nothing that is told is believed: at the end the tree is walked, and the sums count only where every entry was
 * hashed once, in the walk's order with the attributes that it has then. Else the caller sums up as if nothing had been.
 */
import { readSync } from "node:fs";
import type { FileKernel, FileStat } from "#kernel/kernel.ts";
import { NaruError } from "#lib/errors.ts";
import { CurrentDirectory } from "#snapshot/current-directory.ts";
import { splitPath } from "#snapshot/directory-cache.ts";
import type { DiffTarResult } from "#snapshot/snapshot.ts";
import { TreePacker } from "#snapshot/tree-pack.ts";
import { DIRECTORY_FLAGS, isGone, walkTree } from "#snapshot/tree-walk.ts";
import { S_IFMT, S_IFREG, isDirectory } from "#snapshot/whiteout.ts";
import { sha256Digest } from "#spec/image/digest.ts";

/** A line on stdin, as JSON. Directories above the first entry are told of by nobody: they are there by then. */
export type Told =
  /** A file, symlink or node: all of it is written. */
  | { readonly path: string }
  /** A directory, before what is in it, with the attributes that it will have at the end. */
  | {
      readonly path: string;
      readonly directory: Pick<FileStat, "mode" | "uid" | "gid"> & { readonly mtime: number };
      /** There is one below already: without content of its own it is no part of the layer. */
      readonly isOld: boolean;
    }
  /** Something that this way of summing up has no words for. */
  | { readonly odd: true }
  /** The last line; without it the writer has failed. */
  | { readonly end: true };

const READ_BYTES = 64 * 1024;
const NEWLINE = 10;

function* toldLines(fd: number): Generator<Told, void> {
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  let rest = Buffer.alloc(0);
  for (;;) {
    const count = readSync(fd, buffer, 0, buffer.length, null);
    if (count === 0) return;
    rest = Buffer.concat([rest, buffer.subarray(0, count)]);
    let at = 0;
    for (let end = rest.indexOf(NEWLINE, at); end >= 0; end = rest.indexOf(NEWLINE, at)) {
      yield JSON.parse(rest.toString("utf8", at, end)) as Told;
      at = end + 1;
    }
    rest = rest.subarray(at);
  }
}

const signOf = (stat: FileStat): string => {
  const size = (stat.mode & S_IFMT) === S_IFREG ? stat.size : 0;
  return `${stat.mode} ${stat.uid} ${stat.gid} ${size} ${stat.mtime.seconds}`;
};

class SumBeside implements Disposable {
  readonly #kernel: FileKernel;
  readonly #upperFd: number;
  readonly #directory: CurrentDirectory;
  readonly #packer: TreePacker;
  readonly #hasher = new Bun.CryptoHasher("sha256");
  #tarBytes = 0;
  /** What was hashed, in that order. */
  readonly #signs = new Map<string, string>();
  /** Directories of below that are seen to have content. */
  readonly #empty = new Set<string>();

  constructor(kernel: FileKernel, upper: string) {
    this.#kernel = kernel;
    this.#upperFd = kernel.openInRoot(upper, ".", DIRECTORY_FLAGS);
    this.#directory = new CurrentDirectory(kernel, this.#upperFd);
    this.#packer = new TreePacker(kernel, "reused");
  }

  [Symbol.dispose](): void {
    this.#directory[Symbol.dispose]();
    this.#kernel.close(this.#upperFd);
  }

  /** False for what was hashed before, of another copy into the same place: it stands in the archive once. */
  take(told: Extract<Told, { path: string }>): boolean {
    const [parent, name] = splitPath(told.path);
    this.#takeParents(parent);
    if (this.#signs.has(told.path)) return false;
    this.#empty.delete(parent);
    const fd = this.#directory.open(parent);
    const stat = this.#kernel.statAt(fd, name);
    if (!("directory" in told)) {
      this.#pack(told.path, fd, name, stat);
      return true;
    }
    const { mode, uid, gid, mtime } = told.directory;
    if (told.isOld) this.#empty.add(told.path);
    const later = { ...stat, mode, uid, gid, mtime: { seconds: mtime, nanoseconds: 0 } };
    this.#pack(told.path, fd, name, later);
    return true;
  }

  /** Undefined where the tree is not what was hashed. */
  finish(): DiffTarResult | undefined {
    if (this.#empty.size > 0) return undefined;
    const hashed = this.#signs.entries();
    for (const { path, stat } of walkTree(this.#kernel, this.#upperFd)) {
      const [hashedPath, sign] = hashed.next().value ?? [];
      if (hashedPath !== path || sign !== signOf(stat)) return undefined;
      // Its other name may have come later: the tar would have a link there.
      if (stat.nlink > 1 && !isDirectory(stat)) return undefined;
    }
    if (hashed.next().done !== true) return undefined;
    this.#update(this.#packer.end());
    return {
      diffId: sha256Digest(this.#hasher.digest("hex")),
      tarBytes: this.#tarBytes,
      sizeBytes: this.#packer.sizeBytes,
    };
  }

  #takeParents(path: string): void {
    if (path === "" || this.#signs.has(path)) return;
    const [parent, name] = splitPath(path);
    this.#takeParents(parent);
    const fd = this.#directory.open(parent);
    this.#pack(path, fd, name, this.#kernel.statAt(fd, name));
  }

  #pack(path: string, fd: number, name: string, stat: FileStat): void {
    this.#signs.set(path, signOf(stat));
    this.#update(this.#packer.node(path, fd, name, stat));
  }

  #update(chunks: Iterable<Uint8Array>): void {
    for (const chunk of chunks) {
      this.#hasher.update(chunk);
      this.#tarBytes += chunk.length;
    }
  }
}

/** Reads from `fd` until its writers have closed it. Undefined: to be summed up anew. Throws canceled without an end. */
export const sumBeside = (
  kernel: FileKernel,
  upper: string,
  fd: number,
): DiffTarResult | undefined => {
  using sum = new SumBeside(kernel, upper);
  let isSound = true;
  let isWhole = false;
  for (const told of toldLines(fd)) {
    if ("end" in told) isWhole = true;
    else if ("odd" in told) isSound = false;
    // What comes is still read: the writer must not wait.
    else if (isSound) {
      try {
        isSound = sum.take(told);
      } catch (error) {
        // It went by way of a symlink, or is gone again.
        if (!isGone(error)) throw error;
        isSound = false;
      }
    }
  }
  if (!isWhole) throw new NaruError("canceled", "the writer of the layer ended before its end");
  return isSound ? sum.finish() : undefined;
};
