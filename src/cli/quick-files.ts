/** Files as commands see them: quickly, and by node:fs where that fails, which has the words for it. */
import {
  type QuickStat,
  quickLstat,
  quickNames,
  quickReadlink,
  quickRealpath,
  quickStat,
} from "#kernel/quick-files.ts";
import { lateFs } from "#lib/late-builtins.ts";

export const isDirectory = (path: string): boolean => quickStat(path)?.kind === "directory";

/** undefined: it is not there. Throws what keeps it from being looked at. */
export const lstat = (path: string): QuickStat | undefined => {
  const found = quickLstat(path);
  if (found === undefined) lateFs().lstatSync(path, { throwIfNoEntry: false });
  return found;
};

export const namesIn = (path: string): readonly string[] =>
  quickNames(path) ?? lateFs().readdirSync(path);

export const readlink = (path: string): string =>
  quickReadlink(path) ?? lateFs().readlinkSync(path);

export const realpath = (path: string): string =>
  quickRealpath(path) ?? lateFs().realpathSync(path);
