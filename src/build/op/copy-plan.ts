/** What is to be copied where, and what becomes of each file's attributes: the same for all ways of copying. */
import { applyMode } from "#build/op/mode.ts";
import type { FileStat } from "#kernel/kernel.ts";
import { S_IFDIR, isDirectory } from "#snapshot/whiteout.ts";

/** A directory that nobody has described: root's. */
export const NEW_DIRECTORY: FileStat = {
  mode: S_IFDIR | 0o755,
  uid: 0,
  gid: 0,
  size: 0,
  rdevMajor: 0,
  rdevMinor: 0,
  ino: 0n,
  dev: 0n,
  nlink: 2,
  mtime: { seconds: 0, nanoseconds: 0 },
};

export interface CopyItem {
  /** Host path of the tree to read from. */
  readonly root: string;
  /** Relative to it, symlinks resolved; "" is the tree itself. */
  readonly path: string;
  /** Relative to the target's root. A directory's content goes into it, a file becomes it. */
  readonly target: string;
  /** The file is an archive whose content goes into `target`. */
  readonly isUnpacked: boolean;
  /** Paths below a directory that are left out. */
  readonly ignored: readonly string[];
  /** Nothing there has extended attributes: they are not asked for. */
  readonly hasNoXattrs?: boolean;
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface CopyPlan {
  readonly targetRoot: string;
  readonly items: readonly CopyItem[];
  /** Of all that is written; each file's own when absent. */
  readonly owner?: Owner;
  /** Of what comes out of archives; what they say when absent. */
  readonly unpackedOwner?: Owner;
  /** Octal or symbolic, as --chmod says it. */
  readonly chmod?: string;
  /** Seconds since the epoch, for all that is written. */
  readonly mtimeSeconds?: number;
}

/** The twelve permission bits of the copy. */
export const modeOf = ({ chmod }: CopyPlan, stat: FileStat): number => {
  const mode = stat.mode & 0o7777;
  return chmod === undefined ? mode : applyMode(chmod, mode, isDirectory(stat));
};

export const PLAIN_DIRECTORY_MODE = 0o755;

/**
 * Of directories that are made to lead to what is copied. A --chmod in digits is theirs too, as far as it says who may
 * do what; one in letters is not. So BuildKit has it (tonistiigi/fsutil, copy.go).
 */
export const newDirectoryMode = ({ chmod }: Pick<CopyPlan, "chmod">): number =>
  chmod !== undefined && /^[0-7]+$/.test(chmod)
    ? Number.parseInt(chmod, 8) & 0o777
    : PLAIN_DIRECTORY_MODE;

export const ownerOf = ({ owner }: CopyPlan, stat: FileStat): Owner => owner ?? stat;

/** Labels and sums of the host stay behind. */
export const isCopiedXattr = (name: string): boolean =>
  name.startsWith("user.") || name === "security.capability";
