/** Which files of a tree the sources of a COPY name; symlinks on the way stay inside the tree. */
import { constants } from "node:fs";
import { posix } from "node:path";
import type { NaruError } from "#lib/errors.ts";
import type { FileKernel, FileStat } from "#kernel/kernel.ts";
import { NEW_DIRECTORY } from "#build/op/copy-plan.ts";
import { globExpression, hasWildcard, unescapeGlob } from "#build/op/glob.ts";
import { resolveLinks } from "#snapshot/container-path.ts";
import { splitPath } from "#snapshot/directory-cache.ts";
import { isGone, statOrGone } from "#snapshot/tree-walk.ts";
import { isDirectory } from "#snapshot/whiteout.ts";

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY;

export interface FoundSource {
  /** Where it really is: relative to the tree's root, symlinks resolved; "" is the root. */
  readonly path: string;
  /** As the source named it: its last component is the copy's name, and --parents keeps it all. */
  readonly namedPath: string;
  readonly isDirectory: boolean;
}

/** Relative and clean; what leads above the root stays at it. */
export const cleanSource = (source: string): string =>
  posix.normalize(`/${source}`).slice(1).replace(/\/$/, "");

const openDirectory = (kernel: FileKernel, rootFd: number, path: string): number | undefined => {
  try {
    return kernel.openInRoot(rootFd, path === "" ? "." : path, DIRECTORY);
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
};

const statPath = (kernel: FileKernel, rootFd: number, path: string): FileStat | undefined => {
  if (path === "") return NEW_DIRECTORY;
  const [parent, name] = splitPath(path);
  const fd = openDirectory(kernel, rootFd, parent);
  if (fd === undefined) return undefined;
  try {
    return statOrGone(kernel, fd, name);
  } finally {
    kernel.close(fd);
  }
};

const locate = (kernel: FileKernel, rootFd: number, named: string): FoundSource | undefined => {
  // A symlink that is named itself is followed, as everything on the way to it.
  const path = resolveLinks(kernel, rootFd, `/${named}`).slice(1);
  const stat = statPath(kernel, rootFd, path);
  if (stat === undefined) return undefined;
  return { path, namedPath: named, isDirectory: isDirectory(stat) };
};

/** One component after the other; names in order. */
const expand = (
  kernel: FileKernel,
  rootFd: number,
  done: string,
  todo: readonly string[],
): string[] => {
  const [component, ...rest] = todo;
  if (component === undefined) return [done];
  const prefix = done === "" ? "" : `${done}/`;
  if (!hasWildcard(component)) {
    return expand(kernel, rootFd, prefix + component, rest);
  }
  const fd = openDirectory(kernel, rootFd, done);
  if (fd === undefined) return [];
  let names: string[];
  try {
    const expression = globExpression(component);
    names = kernel.readDir(fd).filter((name) => expression.test(name));
  } finally {
    kernel.close(fd);
  }
  return names.toSorted().flatMap((name) => expand(kernel, rootFd, prefix + name, rest));
};

/**
 * What `source` (variables already expanded) names, in order. `explain` makes the error for one that names
 * nothing. A pattern that matches nothing gives an empty list.
 */
export const findSources = (
  kernel: FileKernel,
  root: string,
  source: string,
  explain: (path: string) => NaruError,
): FoundSource[] => {
  const rootFd = kernel.openInRoot(root, ".", DIRECTORY);
  try {
    if (!hasWildcard(source)) {
      const clean = cleanSource(source);
      const found = locate(kernel, rootFd, clean);
      if (found === undefined) throw explain(clean);
      return [found];
    }
    const pattern = cleanSource(source);
    const isPlain = !/[*?[]/.test(pattern);
    if (isPlain) {
      const found = locate(kernel, rootFd, unescapeGlob(pattern));
      if (found === undefined) throw explain(unescapeGlob(pattern));
      return [found];
    }
    return expand(kernel, rootFd, "", pattern.split("/")).flatMap(
      (path) => locate(kernel, rootFd, path) ?? [],
    );
  } finally {
    kernel.close(rootFd);
  }
};
