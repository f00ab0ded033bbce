/** Stopping the daemon of a data root from another process. */
import { NaruError } from "#lib/errors.ts";
import type { Kernel } from "#kernel/kernel.ts";
import { lockHolder } from "#daemon/root-lock.ts";
import { stopService } from "#daemon/systemd.ts";

const SIGTERM = 15;
const STOP_LIMIT_MS = 30_000;

/** Resolves when none runs; containers run on. Throws deadline_exceeded after 30 s. */
export const stopDaemon = async (kernel: Kernel, dataRoot: string): Promise<void> => {
  const pid = lockHolder(kernel, dataRoot);
  // A service manager would start it again: it must do the stopping.
  if (pid === undefined || stopService(pid)) return;
  kernel.kill(pid, SIGTERM);
  await kernel.waitForEnd(pid, AbortSignal.timeout(STOP_LIMIT_MS)).catch((cause: unknown) => {
    throw new NaruError(
      "deadline_exceeded",
      `the daemon (process ${pid}) did not stop within ${STOP_LIMIT_MS / 1000} s`,
      { cause },
    );
  });
};
