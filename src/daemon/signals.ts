/** Signals of the daemon's process: stop, stop now, read the configuration again. */
import type { Logger } from "#lib/log.ts";

/** What a shutdown may take beyond the requests it waits for. */
const MARGIN_MS = 5000;

export interface SignalActions {
  reload(): void;
  /** How long a shutdown waits for requests under way, as of now. */
  shutdownTimeoutSeconds(): number;
}

/**
 * Resolves at SIGTERM or SIGINT. From then on the process ends within the shutdown's time in any
 * case, and at once at the next such signal: a daemon that is cut short loses nothing.
 */
export const watchSignals = (log: Logger, actions: SignalActions): Promise<void> => {
  const { promise, resolve } = Promise.withResolvers<void>();
  let isStopping = false;
  const leave = (reason: string): void => {
    log.error(reason);
    process.exit(1);
  };
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.on(name, () => {
      if (isStopping) {
        leave(`left at once: ${name} came again`);
        return;
      }
      isStopping = true;
      log.info("stopping", { signal: name });
      const limitMs = actions.shutdownTimeoutSeconds() * 1000 + MARGIN_MS;
      setTimeout(() => leave(`could not stop within ${limitMs} ms: left`), limitMs).unref();
      resolve();
    });
  }
  process.on("SIGHUP", () => {
    if (!isStopping) actions.reload();
  });
  return promise;
};
