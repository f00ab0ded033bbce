/** A log's files: the one being written and its rotated predecessors, some of them compressed. */
import { closeSync, fstatSync, openSync, readdirSync, statSync } from "node:fs";
import { basename, dirname } from "node:path";
import { compressedIdentity, identityOf } from "#log/identity.ts";

export interface RotatedFile {
  readonly path: string;
  /** Higher = older. */
  readonly number: number;
  readonly isCompressed: boolean;
}

export interface OpenLogFile {
  readonly fd: number;
  /** Of the file as it was written: kept when it is renamed or compressed. */
  readonly identity: string;
  /** At the time of opening; of what is in `fd`. */
  readonly size: number;
  readonly isCompressed: boolean;
}

const isMissing = (error: unknown): boolean => (error as { code?: unknown }).code === "ENOENT";

/** The rotated files that exist, newest (lowest number) first. */
export const rotatedFiles = (path: string): RotatedFile[] => {
  const prefix = `${basename(path)}.`;
  let names: string[];
  try {
    names = readdirSync(dirname(path));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
  return names
    .flatMap((name): RotatedFile[] => {
      const match = name.startsWith(prefix)
        ? /^([1-9]\d{0,5})(\.gz)?$/.exec(name.slice(prefix.length))
        : null;
      if (match === null) return [];
      const isCompressed = match[2] !== undefined;
      return [{ path: `${dirname(path)}/${name}`, number: Number(match[1]), isCompressed }];
    })
    .toSorted((a, b) => a.number - b.number || Number(a.isCompressed) - Number(b.isCompressed));
};

const openFile = (path: string, isCompressed: boolean): OpenLogFile | undefined => {
  try {
    const fd = openSync(path, "r");
    const stats = fstatSync(fd, { bigint: true });
    const identity = isCompressed ? compressedIdentity(fd) : identityOf(stats);
    return { fd, identity, size: Number(stats.size), isCompressed };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
};

/** Identity of the file that is written to now. */
export const currentIdentity = (path: string): string | undefined => {
  const stats = statSync(path, { throwIfNoEntry: false, bigint: true });
  return stats === undefined ? undefined : identityOf(stats);
};

/**
 * Opens all files, oldest first; with `after`, only those newer than that one (all of them when it
 * is no longer there). Newest are opened first: a rotation meanwhile can only show a file twice, and
 * the second sight is dropped. Compressed ones are given as they are (`compressed.ts` expands them).
 */
export const openLogFiles = (path: string, after?: string): OpenLogFile[] => {
  const files: OpenLogFile[] = [];
  for (const candidate of [{ path, isCompressed: false }, ...rotatedFiles(path)]) {
    const file = openFile(candidate.path, candidate.isCompressed);
    if (file === undefined) continue;
    if (file.identity === after) {
      closeSync(file.fd);
      break;
    }
    if (files.some((other) => other.identity === file.identity)) closeSync(file.fd);
    else files.push(file);
  }
  return files.toReversed();
};
