/** What follows an exit: pure, so that it can be read and tested as a table. */
import type { RestartPolicy } from "#spec/docker/host-config.ts";

const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 60_000;
/** A run at least this long starts the back-off anew. */
const STABLE_RUN_MS = 10_000;

export interface ExitFacts {
  readonly exitCode: number;
  readonly ranMs: number;
  readonly restartCount: number;
  readonly isStoppedByUser: boolean;
  /** The delay before the run that just ended; 0 for a first run. */
  readonly previousDelayMs: number;
}

export type AfterExit =
  | { readonly restarts: false }
  | { readonly restarts: true; readonly delayMs: number };

const wantsRestart = (policy: RestartPolicy, exit: ExitFacts): boolean => {
  if (exit.isStoppedByUser) return false;
  switch (policy.Name) {
    case "":
    case "no":
      return false;
    case "always":
    case "unless-stopped":
      return true;
    case "on-failure":
      return (
        exit.exitCode !== 0 &&
        (policy.MaximumRetryCount === 0 || exit.restartCount < policy.MaximumRetryCount)
      );
  }
};

/** Delays double from 100 ms to one minute and start anew after ten seconds of running (Docker's rule). */
export const afterExit = (policy: RestartPolicy, exit: ExitFacts): AfterExit => {
  if (!wantsRestart(policy, exit)) return { restarts: false };
  const isFresh = exit.previousDelayMs === 0 || exit.ranMs >= STABLE_RUN_MS;
  const delayMs = isFresh ? BACKOFF_FIRST_MS : Math.min(exit.previousDelayMs * 2, BACKOFF_MAX_MS);
  return { restarts: true, delayMs };
};

/** Whether a container that is not running should be when the daemon starts. */
export const startsWithDaemon = (
  policy: RestartPolicy,
  container: {
    readonly isStoppedByUser: boolean;
    readonly wasRunning: boolean;
    readonly exitCode: number;
  },
): boolean => {
  switch (policy.Name) {
    case "":
    case "no":
      return false;
    case "always":
      return true;
    case "unless-stopped":
      return !container.isStoppedByUser;
    case "on-failure":
      return container.wasRunning && !container.isStoppedByUser && container.exitCode !== 0;
  }
};
