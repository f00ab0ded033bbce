/** A log's files: the one being written and its rotated predecessors. */
import { closeSync, fstatSync, openSync, readdirSync, statSync } from "node:fs";
import { basename, dirname } from "node:path";

export interface OpenLogFile {
  readonly fd: number;
  readonly ino: number;
  /** At the time of opening. */
  readonly size: number;
}

const isMissing = (error: unknown): boolean => (error as { code?: unknown }).code === "ENOENT";

/** Numbers of the rotated files that exist, newest (lowest) first. */
export const rotatedNumbers = (path: string): number[] => {
  const prefix = `${basename(path)}.`;
  let names: string[];
  try {
    names = readdirSync(dirname(path));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
  return names
    .filter((name) => name.startsWith(prefix) && /^[1-9]\d{0,5}$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
    .toSorted((a, b) => a - b);
};

const openFile = (path: string): OpenLogFile | undefined => {
  try {
    const fd = openSync(path, "r");
    const { ino, size } = fstatSync(fd);
    return { fd, ino, size };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
};

/** Inode of the file that is written to now. */
export const currentInode = (path: string): number | undefined =>
  statSync(path, { throwIfNoEntry: false })?.ino;

/**
 * Opens all files, oldest first; with `after`, only those newer than that inode (all of them when it
 * is no longer there). Newest are opened first: a rotation meanwhile can only show a file twice, and
 * the second sight is dropped.
 */
export const openLogFiles = (path: string, after?: number): OpenLogFile[] => {
  const files: OpenLogFile[] = [];
  for (const candidate of [path, ...rotatedNumbers(path).map((number) => `${path}.${number}`)]) {
    const file = openFile(candidate);
    if (file === undefined) continue;
    if (file.ino === after) {
      closeSync(file.fd);
      break;
    }
    if (files.some((other) => other.ino === file.ino)) closeSync(file.fd);
    else files.push(file);
  }
  return files.toReversed();
};
