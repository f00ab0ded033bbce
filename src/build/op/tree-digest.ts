/** The content of files that a vertex reads, as digests: mode, owner and bytes, never times. */
import { readSync, closeSync, constants, openSync } from "node:fs";
import type { FileKernel, FileStat } from "#kernel/kernel.ts";
import { FairTurn } from "#lib/fair-turn.ts";
import type { FoundSource } from "#build/op/sources.ts";
import { splitPath } from "#snapshot/directory-cache.ts";
import { DIRECTORY_FLAGS, walkTree } from "#snapshot/tree-walk.ts";
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "#snapshot/whiteout.ts";

/** Hashed in well under a millisecond. */
const CHUNK_BYTES = 256 * 1024;
const CAPABILITY = "security.capability";

/** A tree to read from, and what is already known of its files. */
export interface DigestedTree {
  readonly root: string;
  /** sha256 in hex of files by path. */
  readonly digests: ReadonlyMap<string, string>;
  /** Owners count: they are copied. */
  readonly hasOwners: boolean;
  readonly hasNoXattrs?: boolean;
}

export interface InputDigest {
  readonly digest: string;
  /** Each file's own digest by path; empty when only the sum is known. */
  readonly files: ReadonlyMap<string, string>;
  /** Sum of the files' sizes; infinite when it is not known. */
  readonly sizeBytes: number;
}

const hashFile = async (path: string, signal: AbortSignal): Promise<string> => {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const hasher = new Bun.CryptoHasher("sha256");
    const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    for (let count = readSync(fd, buffer); count > 0; count = readSync(fd, buffer)) {
      hasher.update(buffer.subarray(0, count));
      if (count < CHUNK_BYTES) continue;
      signal.throwIfAborted();
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    return hasher.digest("hex");
  } finally {
    closeSync(fd);
  }
};

const describe = async (
  kernel: FileKernel,
  tree: DigestedTree,
  entry: { path: string; name: string; directoryFd: number; stat: FileStat },
  signal: AbortSignal,
): Promise<string> => {
  const { stat, directoryFd, name } = entry;
  const file = `${kernel.fdPath(directoryFd)}/${name}`;
  const owner = tree.hasOwners ? `${stat.uid}:${stat.gid}` : "";
  const head = `${stat.mode.toString(8)} ${owner}`;
  switch (stat.mode & S_IFMT) {
    case S_IFREG: {
      const digest = tree.digests.get(entry.path) ?? (await hashFile(file, signal));
      const capability =
        tree.hasNoXattrs === true ? "" : (kernel.getXattr(file, CAPABILITY)?.toHex() ?? "");
      return `${head} ${digest} ${capability}`;
    }
    case S_IFLNK:
      return `${head} ${kernel.readlinkAt(directoryFd, name)}`;
    case S_IFCHR:
    case S_IFBLK:
      return `${head} ${stat.rdevMajor}:${stat.rdevMinor}`;
    default:
      return head;
  }
};

/** Relative to the tree's root, "" for the root itself. */
const joinPath = (base: string, path: string): string => (base === "" ? path : `${base}/${path}`);

/** The names in the digest are those that the copies get, so that a renamed file counts. */
export const digestSources = async (
  kernel: FileKernel,
  tree: DigestedTree,
  sources: readonly FoundSource[],
  isIgnored: (path: string) => boolean,
  signal: AbortSignal,
): Promise<InputDigest> => {
  const files = new Map<string, string>();
  const hasher = new Bun.CryptoHasher("sha256");
  const turn = new FairTurn();
  let sizeBytes = 0;
  const take = async (
    named: string,
    entry: { path: string; name: string; directoryFd: number; stat: FileStat },
  ): Promise<void> => {
    const text = await describe(kernel, tree, entry, signal);
    hasher.update(`${JSON.stringify(named)} ${text}\n`);
    files.set(named, text);
    sizeBytes += entry.stat.size;
    if (turn.isOver) {
      signal.throwIfAborted();
      await turn.yield();
    }
  };
  const rootFd = kernel.openInRoot(tree.root, ".", DIRECTORY_FLAGS);
  try {
    for (const source of sources) {
      const [parent, name] = splitPath(source.path);
      if (source.path !== "") {
        const fd = kernel.openInRoot(rootFd, parent === "" ? "." : parent, DIRECTORY_FLAGS);
        try {
          const stat = kernel.statAt(fd, name);
          const isTree = (stat.mode & S_IFMT) === S_IFDIR;
          await take(isTree ? `${source.namedPath}/` : source.namedPath, {
            path: source.path,
            name,
            directoryFd: fd,
            stat,
          });
        } finally {
          kernel.close(fd);
        }
      }
      if (!source.isDirectory) continue;
      const fd = kernel.openInRoot(rootFd, source.path || ".", DIRECTORY_FLAGS);
      try {
        for (const node of walkTree(kernel, fd)) {
          const path = joinPath(source.path, node.path);
          if (isIgnored(node.path)) continue;
          await take(joinPath(source.namedPath, node.path), { ...node, path });
        }
      } finally {
        kernel.close(fd);
      }
    }
  } finally {
    kernel.close(rootFd);
  }
  return { digest: hasher.digest("hex"), files, sizeBytes };
};
