/** Making a writable layer ready to be committed: mount points away, then its sums. */
import { NaruError } from "#lib/errors.ts";
import type { FileKernel } from "#kernel/kernel.ts";
import { type DiffInput, packDiff } from "#snapshot/diff.ts";
import { errnoOf, splitPath } from "#snapshot/directory-cache.ts";
import type { DiffTarResult } from "#snapshot/snapshot.ts";
import { DIRECTORY_FLAGS, statOrGone, walkTree } from "#snapshot/tree-walk.ts";
import { S_IFMT, S_IFREG, isDirectory } from "#snapshot/whiteout.ts";
import { sha256Digest } from "#spec/image/digest.ts";

/** What is summed up on the daemon's own thread; a child process takes longer to start than this. */
const SMALL_ENTRIES = 200;
const SMALL_BYTES = 4 * 1024 * 1024;

const openParent = (kernel: FileKernel, rootFd: number, path: string): number | undefined => {
  try {
    return kernel.openInRoot(rootFd, path === "" ? "." : path, DIRECTORY_FLAGS);
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP"].includes(errnoOf(error) ?? "")) return undefined;
    throw error;
  }
};

/** True when `path` stands below `rootFd`, whatever it is. */
const hasPath = (kernel: FileKernel, rootFd: number, path: string): boolean => {
  const [parent, name] = splitPath(path);
  const fd = openParent(kernel, rootFd, parent);
  if (fd === undefined) return false;
  try {
    return statOrGone(kernel, fd, name) !== undefined;
  } finally {
    kernel.close(fd);
  }
};

/** False when it stays: it holds something, and so do the directories above it. */
const removeEmpty = (kernel: FileKernel, upperFd: number, path: string): boolean => {
  const [parent, name] = splitPath(path);
  const fd = openParent(kernel, upperFd, parent);
  if (fd === undefined) return true;
  try {
    const stat = statOrGone(kernel, fd, name);
    if (stat === undefined) return true;
    const isTree = isDirectory(stat);
    if (!isTree && ((stat.mode & S_IFMT) !== S_IFREG || stat.size > 0)) return false;
    kernel.unlinkAt(fd, name, isTree);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOTEMPTY") return false;
    throw error;
  } finally {
    kernel.close(fd);
  }
};

/** Each path, and the directories above it that were made for it alone. */
export const removeMountPoints = (input: DiffInput): void => {
  const { kernel, upper, lower, hiddenPaths = [] } = input;
  const upperFd = kernel.openInRoot(upper, ".", DIRECTORY_FLAGS);
  const lowerFd = lower === undefined ? undefined : kernel.openInRoot(lower, ".", DIRECTORY_FLAGS);
  try {
    for (const hidden of hiddenPaths) {
      const parts = hidden.split("/").filter((part) => part !== "");
      for (let count = parts.length; count > 0; count--) {
        const path = parts.slice(0, count).join("/");
        if (lowerFd !== undefined && hasPath(kernel, lowerFd, path)) break;
        if (!removeEmpty(kernel, upperFd, path)) break;
      }
    }
  } finally {
    kernel.close(upperFd);
    if (lowerFd !== undefined) kernel.close(lowerFd);
  }
};

/** Sets later times back, so that the same files give the same layer whenever they were written. */
export const clampTimes = (kernel: FileKernel, root: string, maxSeconds: number): void => {
  const fd = kernel.openInRoot(root, ".", DIRECTORY_FLAGS);
  const time = { seconds: maxSeconds, nanoseconds: 0 };
  try {
    for (const { directoryFd, name, stat } of walkTree(kernel, fd)) {
      if (stat.mtime.seconds < maxSeconds) continue;
      kernel.setTimesAt(directoryFd, name, time, time);
    }
  } finally {
    kernel.close(fd);
  }
};

/** Few enough entries and bytes to be read here and now. */
export const isSmallTree = (kernel: FileKernel, root: string): boolean => {
  const fd = kernel.openInRoot(root, ".", DIRECTORY_FLAGS);
  try {
    let entries = 0;
    let bytes = 0;
    for (const { stat } of walkTree(kernel, fd)) {
      entries += 1;
      if ((stat.mode & S_IFMT) === S_IFREG) bytes += stat.size;
      if (entries > SMALL_ENTRIES || bytes > SMALL_BYTES) return false;
    }
    return true;
  } finally {
    kernel.close(fd);
  }
};

/** The sums of the tar that `packDiff` gives. */
export const sumDiff = (input: DiffInput): DiffTarResult => {
  const hasher = new Bun.CryptoHasher("sha256");
  const totals = { sizeBytes: 0 };
  let tarBytes = 0;
  for (const chunk of packDiff(input, totals, "reused")) {
    hasher.update(chunk);
    tarBytes += chunk.length;
  }
  return {
    diffId: sha256Digest(hasher.digest("hex")),
    tarBytes,
    sizeBytes: totals.sizeBytes,
  };
};

/** Throws data_loss: the tree is not the one that was committed. */
export const checkSameLayer = (chainId: string, wanted: string, actual: string): void => {
  if (wanted === actual) return;
  throw new NaruError(
    "data_loss",
    `the files of layer "${chainId}" were changed: they sum up to ${actual}, not to ${wanted}`,
  );
};
