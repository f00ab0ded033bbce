/** The files of a result, for those who want them as files: read-only, and gone from the host when disposed of. */
import { closeSync, constants, readSync } from "node:fs";
import { posix } from "node:path";
import type { FileKernel } from "#kernel/kernel.ts";
import { goFileMode } from "#snapshot/archive.ts";
import { splitPath } from "#snapshot/directory-cache.ts";
import type { View } from "#snapshot/snapshot.ts";
import { TreePacker } from "#snapshot/tree-pack.ts";
import { DIRECTORY_FLAGS, walkTree } from "#snapshot/tree-walk.ts";
import { S_IFLNK, S_IFMT, S_IFREG } from "#snapshot/whiteout.ts";

const CHUNK_BYTES = 32 * 1024;

export interface ResultNode {
  readonly path: string;
  /** As Go's os.FileMode. */
  readonly goMode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  readonly modifiedNs: bigint;
  /** Text of a symlink, or the earlier path of a hard link. */
  readonly link: string;
}

const within = (path: string): string => posix.resolve("/", path).slice(1) || ".";

const ROOT_NODE: ResultNode = {
  path: "/",
  goMode: goFileMode(0o040755),
  uid: 0,
  gid: 0,
  sizeBytes: 0,
  modifiedNs: 0n,
  link: "",
};

export class ResultFiles implements Disposable {
  readonly #kernel: FileKernel;
  readonly #view: View;

  constructor(kernel: FileKernel, view: View) {
    this.#kernel = kernel;
    this.#view = view;
  }

  /** Tar entries of everything below `prefix` ("" or "name/"), without an archive's end. */
  *entries(prefix: string, isLeftOut: (path: string) => boolean): Generator<Uint8Array, void> {
    const rootFd = this.#kernel.openInRoot(this.#view.path, ".", DIRECTORY_FLAGS);
    try {
      const packer = new TreePacker(this.#kernel);
      for (const { path, directoryFd, name, stat } of walkTree(this.#kernel, rootFd)) {
        if (!isLeftOut(path)) yield* packer.node(`${prefix}${path}`, directoryFd, name, stat);
      }
      yield* packer.flush();
    } finally {
      this.#kernel.close(rootFd);
    }
  }

  /** Directories before their content, names in order. */
  *nodes(): Generator<ResultNode, void> {
    const rootFd = this.#kernel.openInRoot(this.#view.path, ".", DIRECTORY_FLAGS);
    const linked = new Map<bigint, string>();
    try {
      for (const { path, name, directoryFd, stat } of walkTree(this.#kernel, rootFd)) {
        const kind = stat.mode & S_IFMT;
        const earlier = kind === S_IFREG && stat.nlink > 1 ? linked.get(stat.ino) : undefined;
        if (kind === S_IFREG && stat.nlink > 1 && earlier === undefined) linked.set(stat.ino, path);
        yield {
          path,
          goMode: goFileMode(stat.mode),
          uid: stat.uid,
          gid: stat.gid,
          sizeBytes: kind === S_IFREG ? stat.size : 0,
          modifiedNs: BigInt(stat.mtime.seconds) * 1_000_000_000n + BigInt(stat.mtime.nanoseconds),
          link: kind === S_IFLNK ? this.#kernel.readlinkAt(directoryFd, name) : (earlier ?? ""),
        };
      }
    } finally {
      this.#kernel.close(rootFd);
    }
  }

  /** What is in a directory, by its name there. Throws not_found. */
  list(path: string): ResultNode[] {
    const fd = this.#kernel.openInRoot(this.#view.path, within(path), DIRECTORY_FLAGS);
    try {
      return this.#kernel
        .readDir(fd)
        .toSorted()
        .map((name) => this.#node(fd, name, name));
    } finally {
      this.#kernel.close(fd);
    }
  }

  /** Of the path itself, symlinks on the way followed. Throws not_found. */
  stat(path: string): ResultNode {
    const clean = within(path);
    if (clean === ".") {
      return { ...ROOT_NODE };
    }
    const [parent, name] = splitPath(clean);
    const fd = this.#kernel.openInRoot(this.#view.path, parent || ".", DIRECTORY_FLAGS);
    try {
      return this.#node(fd, name, name);
    } finally {
      this.#kernel.close(fd);
    }
  }

  #node(fd: number, name: string, path: string): ResultNode {
    const stat = this.#kernel.statAt(fd, name);
    const kind = stat.mode & S_IFMT;
    return {
      path,
      goMode: goFileMode(stat.mode),
      uid: stat.uid,
      gid: stat.gid,
      sizeBytes: kind === S_IFREG ? stat.size : 0,
      modifiedNs: BigInt(stat.mtime.seconds) * 1_000_000_000n + BigInt(stat.mtime.nanoseconds),
      link: kind === S_IFLNK ? this.#kernel.readlinkAt(fd, name) : "",
    };
  }

  /** Content of a file; nothing leads out of the tree. */
  *read(path: string): Generator<Uint8Array, void> {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const fd = this.#kernel.openInRoot(this.#view.path, path, flags);
    try {
      for (;;) {
        const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
        const count = readSync(fd, chunk);
        if (count === 0) return;
        yield chunk.subarray(0, count);
      }
    } finally {
      closeSync(fd);
    }
  }

  [Symbol.dispose](): void {
    this.#view[Symbol.dispose]();
  }
}
