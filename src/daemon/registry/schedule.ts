/** What a registry does by itself from time to time: retention first, then collection of what that left. */
import { type Logger } from "#lib/log.ts";
import type { Registry } from "#registry/registry.ts";

export interface ScheduleConfig {
  /** 0: never. */
  readonly collectEveryMs: number;
  readonly collectsUntagged: boolean;
}

const runOnce = async (registry: Registry, config: ScheduleConfig, log: Logger): Promise<void> => {
  const { removed } = await registry.retain({ isDryRun: false });
  for (const { repository, tag, reason } of removed) {
    log.info("retention removed a tag", { repository, tag, reason });
  }
  const report = await registry.collect({
    isDryRun: false,
    removesUntagged: config.collectsUntagged,
  });
  log.info("collected", {
    manifests: report.manifests.length,
    blobs: report.blobs.length,
    freedBytes: report.freedBytes,
  });
};

export const scheduleUpkeep = (
  registry: Registry,
  config: ScheduleConfig,
  log: Logger,
): AsyncDisposable => {
  if (config.collectEveryMs === 0) return { [Symbol.asyncDispose]: () => Promise.resolve() };
  let running: Promise<void> | undefined;
  const timer = setInterval(() => {
    running ??= runOnce(registry, config, log)
      .catch((error: unknown) => log.error("collection failed", { error }))
      .finally(() => {
        running = undefined;
      });
  }, config.collectEveryMs).unref();
  return {
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      await running;
    },
  };
};
