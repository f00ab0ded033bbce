/** What watched paths hold at this moment, and what of it goes into a container. */
import { lstatSync, readFileSync, readdirSync, readlinkSync } from "node:fs";
import type { PlainFile, PlainLink } from "#compose/tar.ts";
import type { Change } from "#compose/watch.ts";

/** The path itself, or all below it. Links are not followed: one may point to a folder that it is in. */
export const filesBelow = (path: string): string[] => {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return [];
  if (!found.isDirectory()) return [path];
  return readdirSync(path).flatMap((name) => filesBelow(`${path}/${name}`));
};

export interface Sorted {
  readonly files: readonly PlainFile[];
  readonly links: readonly PlainLink[];
  readonly gone: readonly string[];
}

type Found = { file: PlainFile } | { link: PlainLink } | "gone" | "nothing to copy";

const look = (path: string, target: string): Found => {
  const inside = target.slice(1);
  try {
    const found = lstatSync(path);
    if (found.isSymbolicLink()) return { link: { path: inside, linkName: readlinkSync(path) } };
    if (!found.isFile()) return "nothing to copy";
    const bytes = readFileSync(path);
    return { file: { path: inside, bytes, mode: found.mode & 0o777, uid: 0, gid: 0 } };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Also between two of the calls, and when a folder on the way has become a file.
    if (code === "ENOENT" || code === "ENOTDIR") return "gone";
    throw error;
  }
};

export const sortChanges = (changes: readonly Change[]): Sorted => {
  const files: PlainFile[] = [];
  const links: PlainLink[] = [];
  const gone: string[] = [];
  for (const { path, target } of changes) {
    if (target === undefined) continue;
    const found = look(path, target);
    if (found === "gone") gone.push(target);
    else if (found === "nothing to copy") continue;
    else if ("file" in found) files.push(found.file);
    else links.push(found.link);
  }
  return { files, links, gone };
};
