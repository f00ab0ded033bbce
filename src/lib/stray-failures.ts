/** For processes that serve others: what nobody caught is told to the log, and does not end all that they serve. */
import type { Logger } from "#lib/log.ts";

const describe = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error);

export const tellStrayFailures = (log: Logger): void => {
  process.on("unhandledRejection", (error) => {
    log.error("a promise nobody awaited failed", { error: describe(error) });
  });
  process.on("uncaughtException", (error) => {
    log.error("an error nobody caught", { error: describe(error) });
  });
};
