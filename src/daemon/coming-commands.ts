/**
 * Commands that are about to come. A client that somebody has just started asks for something in five or ten
 * milliseconds, and what the kernel takes as long for can begin at once (kernel/cgroup-moves.ts).
 */
import type { WatchKernel } from "#kernel/directory-watch.ts";

/** A client asks by these for what starts processes, or says with HEAD /_ping that it is going to. */
const FORETELLING_METHODS: ReadonlySet<string> = new Set(["POST", "HEAD"]);

export const foretellsCommand = (method: string): boolean => FORETELLING_METHODS.has(method);

/**
 * Calls `onStart` whenever one of the programs is started. Those that are not there, or cannot be watched, are passed
 * over; one that is replaced is seen again after the daemon's next start.
 */
export const watchClients = (
  kernel: WatchKernel,
  programs: readonly (string | undefined)[],
  onStart: () => void,
): Disposable => {
  const watches = new DisposableStack();
  for (const program of programs) {
    if (program === undefined) continue;
    try {
      watches.use(kernel.watchOpened(program, onStart));
    } catch {
      // The first command after a while takes as long as it takes without.
    }
  }
  return watches;
};
