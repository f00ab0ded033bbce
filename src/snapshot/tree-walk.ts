/** Everything below a directory, each directory before its content, names in order. */
import { constants, fstatSync, statfsSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import type { FileKernel, FileStat } from "#kernel/kernel.ts";
import { errnoOf } from "#snapshot/directory-cache.ts";
import { isDirectory } from "#snapshot/whiteout.ts";

export interface TreeNode {
  /** Relative to the start, without a leading slash. */
  readonly path: string;
  readonly name: string;
  /** Of the directory it stands in; open until the next node is asked for. */
  readonly directoryFd: number;
  readonly stat: FileStat;
}

interface Level {
  readonly fd: number;
  readonly prefix: string;
  readonly names: readonly string[];
  readonly device: bigint;
  next: number;
}

/** A deeper tree has paths that no program opens, and would use up the descriptors. */
const MAX_DEPTH = 2000;

/** Contents of the kernel's own making: proc, sysfs, cgroup 1 and 2, devpts, mqueue, tracefs … */
const PSEUDO_TYPES: ReadonlySet<number> = new Set([
  0x9fa0, 0x62656572, 0x27e0eb, 0x63677270, 0x1cd1, 0x19800202, 0x74726163, 0x64626720, 0x73636673,
]);

export const DIRECTORY_FLAGS = constants.O_RDONLY | constants.O_DIRECTORY;

/** True for what can happen when a running container removes or replaces a name under our eyes. */
export const isGone = (error: unknown): boolean =>
  ["ENOENT", "ENOTDIR", "ELOOP", "ESTALE"].includes(errnoOf(error) ?? "");

const openLevel = (
  kernel: FileKernel,
  parent: Level,
  name: string,
  prefix: string,
  device: bigint,
): Level | undefined => {
  let fd: number;
  try {
    fd = kernel.openAt(parent.fd, name, DIRECTORY_FLAGS);
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
  try {
    const isPseudo =
      device !== parent.device && PSEUDO_TYPES.has(statfsSync(kernel.fdPath(fd)).type);
    const names = isPseudo ? [] : kernel.readDir(fd).toSorted();
    return { fd, prefix, names, device, next: 0 };
  } catch (error) {
    kernel.close(fd);
    throw error;
  }
};

/**
 * Names that vanish during the walk are left out; file systems of the kernel's own making are not
 * entered. Throws resource_exhausted for a tree deeper than 2,000 directories.
 */
export function* walkTree(kernel: FileKernel, startFd: number): Generator<TreeNode, void> {
  const levels: Level[] = [];
  try {
    const fd = kernel.openInRoot(startFd, ".", DIRECTORY_FLAGS);
    const device = fstatSync(fd, { bigint: true }).dev;
    levels.push({ fd, prefix: "", names: kernel.readDir(fd).toSorted(), device, next: 0 });
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const name = level.names[level.next++];
      if (name === undefined) {
        kernel.close(level.fd);
        levels.pop();
        continue;
      }
      const stat = statOrGone(kernel, level.fd, name);
      if (stat === undefined) continue;
      const path = level.prefix + name;
      yield { path, name, directoryFd: level.fd, stat };
      if (!isDirectory(stat)) continue;
      if (levels.length >= MAX_DEPTH) {
        throw new NaruError(
          "resource_exhausted",
          `"${path.slice(0, 200)}…" lies more than ${MAX_DEPTH} directories deep`,
        );
      }
      const child = openLevel(kernel, level, name, `${path}/`, stat.dev);
      if (child !== undefined) levels.push(child);
    }
  } finally {
    for (const level of levels) kernel.close(level.fd);
  }
}

export const statOrGone = (
  kernel: FileKernel,
  directoryFd: number,
  name: string,
): FileStat | undefined => {
  try {
    return kernel.statAt(directoryFd, name);
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
};

/**
 * Runs a walk in small steps and leaves the thread to others in between; `take` sees every value.
 * Throws the signal's reason.
 */
export const inSteps = async <T>(
  values: Iterable<T>,
  take: (value: T) => void,
  signal?: AbortSignal,
): Promise<void> => {
  const STEP = 64;
  let count = 0;
  for (const value of values) {
    take(value);
    count += 1;
    if (count % STEP !== 0) continue;
    signal?.throwIfAborted();
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
};
