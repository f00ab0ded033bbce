/** Paths that `docker cp` names, looked up inside a container's root. */
import { closeSync, constants } from "node:fs";
import { posix } from "node:path";
import { NaruError } from "#lib/errors.ts";
import type { FileKernel, FileStat } from "#kernel/kernel.ts";
import { errnoOf, splitPath } from "#snapshot/directory-cache.ts";
import { statOfFd } from "#snapshot/tree-pack.ts";
import { S_IFLNK, S_IFMT } from "#snapshot/whiteout.ts";

const O_PATH = 0o10000000;
const MAX_LINKS = 255;

export interface ContainerPath {
  /** Absolute and clean, but a closing "/" or "/." is kept: it asks for what a symlink points to. */
  readonly absolute: string;
  /** The same, clean and without a leading slash; "" for the root. */
  readonly relative: string;
  /** Last component as archives name it: "." for "/a/.", "/" for the root. */
  readonly base: string;
  /** The last component is followed when it is a symlink. */
  readonly isFollowed: boolean;
}

/** ".." is taken away by the text alone, before any symlink is looked at, as Docker does. */
export const parseContainerPath = (path: string): ContainerPath => {
  if (path.includes("\0")) {
    throw new NaruError("invalid_argument", `"${path}" holds a NUL character`);
  }
  const clean = posix.normalize(`/${path}`).replace(/(?<=.)\/$/, "");
  const isDot = /(^|\/)\.\/*$/.test(path);
  const hasSlash = path.endsWith("/");
  const slash = clean === "/" ? "" : "/";
  const absolute = isDot ? `${clean}${slash}.` : hasSlash ? `${clean}${slash}` : clean;
  const base = isDot ? "." : clean === "/" ? "/" : posix.basename(clean);
  const relative = clean.slice(1);
  return { absolute, relative, base, isFollowed: isDot || hasSlash || clean === "/" };
};

/** In Docker's words; a path through something that is no directory leads nowhere either. */
export const pathError = (path: string, error: unknown): unknown => {
  const errno = errnoOf(error);
  if (errno !== "ENOENT" && errno !== "ENOTDIR") return error;
  if (errno === "ENOTDIR" && path.endsWith("/")) {
    return new NaruError("invalid_argument", `${path}: not a directory`, { cause: error });
  }
  return new NaruError("not_found", `Could not find the file ${path} in container`, {
    cause: error,
    details: { path },
  });
};

export interface Located {
  readonly stat: FileStat;
  /** Directory that holds the last component; undefined when that was followed. */
  readonly parentFd: number | undefined;
  /** The thing itself, for directories that were followed. */
  readonly ownFd: number | undefined;
  /** Name below the parent. */
  readonly name: string;
  [Symbol.dispose](): void;
}

/** Throws not_found. Disposing closes the descriptors. */
export const locate = (kernel: FileKernel, rootFd: number, path: ContainerPath): Located => {
  if (path.isFollowed) {
    const ownFd = kernel.openInRoot(rootFd, path.absolute, O_PATH | constants.O_DIRECTORY);
    const dispose = (): void => closeSync(ownFd);
    return {
      stat: statOfFd(ownFd),
      parentFd: undefined,
      ownFd,
      name: ".",
      [Symbol.dispose]: dispose,
    };
  }
  const [parent, name] = splitPath(path.absolute);
  const parentFd = kernel.openInRoot(rootFd, parent, O_PATH | constants.O_DIRECTORY);
  const dispose = (): void => closeSync(parentFd);
  try {
    const stat = kernel.statAt(parentFd, name);
    return { stat, parentFd, ownFd: undefined, name, [Symbol.dispose]: dispose };
  } catch (error) {
    dispose();
    throw error;
  }
};

/**
 * Where a chain of symlinks ends, as far as it can be followed; a text for people and clients, not to
 * be opened without a new look-up.
 */
export const resolveLinks = (kernel: FileKernel, rootFd: number, absolute: string): string => {
  const todo = absolute.split("/").filter((part) => part !== "");
  const done: string[] = [];
  for (let links = 0; todo.length > 0;) {
    const part = todo.shift() ?? "";
    if (part === "." || part === "") continue;
    if (part === "..") {
      done.pop();
      continue;
    }
    const target = linkTarget(kernel, rootFd, done.join("/"), part);
    if (target === undefined) {
      done.push(part);
      continue;
    }
    links += 1;
    if (links > MAX_LINKS) {
      throw new NaruError(
        "invalid_argument",
        `"${absolute}" has too many symbolic links on the way`,
      );
    }
    if (target.startsWith("/")) done.length = 0;
    todo.unshift(...target.split("/"));
  }
  return `/${done.join("/")}`;
};

const linkTarget = (
  kernel: FileKernel,
  rootFd: number,
  directory: string,
  name: string,
): string | undefined => {
  let fd: number;
  try {
    fd = kernel.openInRoot(rootFd, directory, O_PATH | constants.O_DIRECTORY);
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP"].includes(errnoOf(error) ?? "")) return undefined;
    throw error;
  }
  try {
    const isLink = (kernel.statAt(fd, name).mode & S_IFMT) === S_IFLNK;
    return isLink ? kernel.readlinkAt(fd, name) : undefined;
  } catch (error) {
    if (["ENOENT", "EINVAL"].includes(errnoOf(error) ?? "")) return undefined;
    throw error;
  } finally {
    kernel.close(fd);
  }
};
