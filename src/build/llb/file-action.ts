/** Single changes of a mounted root: paths are resolved inside it, symlinks included. */
import { constants, ftruncateSync, writeSync } from "node:fs";
import { posix } from "node:path";
import { globExpression, hasWildcard } from "#build/op/glob.ts";
import type { Owner } from "#build/op/copy-plan.ts";
import type { FileKernel } from "#kernel/kernel.ts";
import { NaruError, hasCode } from "#lib/errors.ts";
import { splitPath } from "#snapshot/directory-cache.ts";
import { removeTreeAt } from "#snapshot/remove-tree.ts";
import { DIRECTORY_FLAGS, statOrGone } from "#snapshot/tree-walk.ts";
import { isDirectory } from "#snapshot/whiteout.ts";

/** Owner, and seconds since the epoch or undefined for now. */
export interface Look {
  readonly owner: Owner;
  readonly mode: number;
  readonly mtimeSeconds: number | undefined;
}

export const relativePath = (path: string): string => posix.resolve("/", path).slice(1);

/** `work` gets the open parent of `path`, and its last component. Throws not_found when there is no parent. */
const inParent = <T>(
  kernel: FileKernel,
  root: string,
  path: string,
  work: (parentFd: number, name: string) => T,
): T => {
  const [parent, name] = splitPath(relativePath(path));
  if (name === "") throw new NaruError("invalid_argument", `"${path}" is the root itself`);
  const fd = kernel.openInRoot(root, parent === "" ? "." : parent, DIRECTORY_FLAGS);
  try {
    return work(fd, name);
  } finally {
    kernel.close(fd);
  }
};

const finish = (kernel: FileKernel, fd: number, name: string, look: Look): void => {
  kernel.chownAt(fd, name, look.owner.uid, look.owner.gid);
  kernel.chmodAt(fd, name, look.mode);
  setTime(kernel, fd, name, look.mtimeSeconds);
};

const setTime = (
  kernel: FileKernel,
  fd: number,
  name: string,
  seconds: number | undefined,
): void => {
  if (seconds === undefined) return;
  const time = { seconds, nanoseconds: 0 };
  kernel.setTimesAt(fd, name, time, time);
};

/** Replaces the content of a file that is there. */
export const makeFile = (
  kernel: FileKernel,
  root: string,
  path: string,
  data: Uint8Array,
  look: Look,
): void => {
  inParent(kernel, root, path, (parentFd, name) => {
    const flags = constants.O_WRONLY | constants.O_CREAT;
    const fd = kernel.openAt(parentFd, name, flags, 0o600);
    try {
      ftruncateSync(fd, 0);
      for (let at = 0; at < data.length;) at += writeSync(fd, data, at);
    } finally {
      kernel.close(fd);
    }
    finish(kernel, parentFd, name, look);
  });
};

const isThere = (kernel: FileKernel, root: string, path: string): boolean => {
  try {
    kernel.close(kernel.openInRoot(root, path === "" ? "." : path, DIRECTORY_FLAGS));
    return true;
  } catch (error) {
    if (hasCode(error, "not_found")) return false;
    throw error;
  }
};

/** One that is there stays as it is. */
export const makeDirectory = (
  kernel: FileKernel,
  root: string,
  path: string,
  makesParents: boolean,
  look: Look,
): void => {
  const clean = relativePath(path);
  if (isThere(kernel, root, clean)) return;
  const [parent] = splitPath(clean);
  if (makesParents) makeDirectory(kernel, root, parent, true, look);
  inParent(kernel, root, clean, (parentFd, name) => {
    kernel.mkdirAt(parentFd, name, 0o700);
    finish(kernel, parentFd, name, look);
  });
};

export const makeSymlink = (
  kernel: FileKernel,
  root: string,
  target: string,
  path: string,
  { owner, mtimeSeconds }: Omit<Look, "mode">,
): void => {
  inParent(kernel, root, path, (parentFd, name) => {
    kernel.symlinkAt(target, parentFd, name);
    kernel.chownAt(parentFd, name, owner.uid, owner.gid);
    setTime(kernel, parentFd, name, mtimeSeconds);
  });
};

/** Paths below `root` that a pattern names, component by component; no symlink is followed by a wildcard. */
const expand = (
  kernel: FileKernel,
  root: string,
  done: string,
  todo: readonly string[],
): string[] => {
  const [component, ...rest] = todo;
  if (component === undefined) return [done];
  const join = (name: string): string => (done === "" ? name : `${done}/${name}`);
  if (!hasWildcard(component)) return expand(kernel, root, join(component), rest);
  if (!isThere(kernel, root, done)) return [];
  const fd = kernel.openInRoot(root, done === "" ? "." : done, DIRECTORY_FLAGS);
  const expression = globExpression(component);
  let names: string[];
  try {
    names = kernel.readDir(fd).filter((name) => expression.test(name));
  } finally {
    kernel.close(fd);
  }
  return names.toSorted().flatMap((name) => expand(kernel, root, join(name), rest));
};

/** Throws not_found, unless nothing may be there. */
export const removePath = (
  kernel: FileKernel,
  root: string,
  path: string,
  options: { readonly mayBeMissing: boolean; readonly hasWildcards: boolean },
): void => {
  const clean = relativePath(path);
  const found = options.hasWildcards ? expand(kernel, root, "", clean.split("/")) : [clean];
  let count = 0;
  for (const one of found) {
    try {
      count += inParent(kernel, root, one, (parentFd, name) => {
        if (statOrGone(kernel, parentFd, name) === undefined) return 0;
        removeTreeAt(kernel, parentFd, name);
        return 1;
      });
    } catch (error) {
      if (!hasCode(error, "not_found")) throw error;
    }
  }
  if (count > 0 || options.mayBeMissing) return;
  throw new NaruError("not_found", `rm ${path}: no such file or directory`);
};

/** What a path is; undefined when it is not there. Symlinks on the way are followed, the last one is not. */
export const kindOf = (
  kernel: FileKernel,
  root: string,
  path: string,
): "directory" | "other" | undefined => {
  const clean = relativePath(path);
  if (clean === "") return "directory";
  try {
    return inParent(kernel, root, clean, (parentFd, name) => {
      const stat = statOrGone(kernel, parentFd, name);
      if (stat === undefined) return undefined;
      return isDirectory(stat) ? "directory" : "other";
    });
  } catch (error) {
    if (hasCode(error, "not_found")) return undefined;
    throw error;
  }
};
