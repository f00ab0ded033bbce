/** Directories that another process is tidying up itself while they are removed. */
import { existsSync, readdirSync, rmdirSync, rmSync, unlinkSync } from "node:fs";

/** Does it, whether or not what it is about is still there. */
const unlessGone = (work: () => void): void => {
  try {
    work();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
};

const removeEachEntry = (path: string): void => {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const inside = `${path}/${entry.name}`;
    unlessGone(() => (entry.isDirectory() ? removeEachEntry(inside) : unlinkSync(inside)));
  }
  rmdirSync(path);
};

/**
 * Removes the directory with all that is in it; no error where there is none. The runtime's own call ends in the
 * middle, and says nothing, where an entry goes under its hands (Bun 1.4.5); what it left is removed entry by entry,
 * each of which may be gone.
 */
export const removeDirectory = (path: string): void => {
  rmSync(path, { recursive: true, force: true });
  if (existsSync(path)) unlessGone(() => removeEachEntry(path));
};
