/** Directories that another process is tidying up itself while they are removed. */
import { existsSync, rmSync } from "node:fs";

/** Each time something has gone; nobody makes anything in them any more. */
const MAX_TRIES = 32;

/**
 * Removes the directory with all that is in it; no error where there is none. The runtime's own call ends in the
 * middle, and says nothing, where an entry goes under its hands (Bun 1.4.5).
 */
export const removeDirectory = (path: string): void => {
  for (let left = MAX_TRIES; left > 0 && existsSync(path); left -= 1) {
    rmSync(path, { recursive: true, force: true });
  }
};
