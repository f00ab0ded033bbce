/** Bytes of the files under a directory. */
import { lstat, opendir } from "node:fs/promises";

/**
 * Sum of the sizes of what is not a directory; a file with several names counts once; other file
 * systems mounted inside are left out. What vanishes meanwhile is passed over.
 */
export const diskUsage = async (root: string, signal?: AbortSignal): Promise<number> => {
  const seen = new Set<number>();
  const { dev } = await lstat(root);
  let total = 0;
  const pending = [root];
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    signal?.throwIfAborted();
    try {
      // oxlint-disable-next-line no-await-in-loop -- one directory after the other keeps it gentle
      for await (const entry of await opendir(directory)) {
        const path = `${directory}/${entry.name}`;
        const stat = await lstat(path);
        if (stat.isDirectory()) {
          if (stat.dev === dev) pending.push(path);
        } else if (stat.nlink === 1 || !seen.has(stat.ino)) {
          if (stat.nlink > 1) seen.add(stat.ino);
          total += stat.size;
        }
      }
    } catch (error) {
      if ((error as { code?: unknown }).code !== "ENOENT") throw error;
    }
  }
  return total;
};
