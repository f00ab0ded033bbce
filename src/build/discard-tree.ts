/** Trees that nobody waits for the end of: moved out of sight, deleted by a child, swept at the next start. */
import { dirname } from "node:path";
import { randomHex } from "#lib/clock.ts";

export const GONE = "gone-";

/** A path for what is to be deleted, on the same file system. */
export const goneBeside = (path: string): string => `${dirname(path)}/${GONE}${randomHex(8)}`;

/** Deletes a tree in a child process: many files take longer than anybody should wait. */
export const discardTree = (path: string): void => {
  const child = Bun.spawn(["rm", "-rf", "--one-file-system", "--", path], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  child.unref();
};
