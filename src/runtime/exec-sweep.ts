/** What execs of a daemon that is gone left in their directories. */
import { readFileSync, readdirSync } from "node:fs";
import { removeDirectory } from "#lib/remove-directory.ts";

/** Whether its conmon lives: it goes on without us, and needs its files. */
const isKept = (directory: string, name: string): boolean => {
  try {
    const pid = Number(readFileSync(`${directory}/${name}/conmon.pid`, "utf8"));
    return pid > 0 && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(name);
  } catch {
    return false; // it has ended, or never had one
  }
};

/** To be called before the first exec. */
export const sweepExecs = (directory: string): void => {
  for (const name of readdirSync(directory)) {
    if (!isKept(directory, name)) removeDirectory(`${directory}/${name}`);
  }
};
