/** What a registry does by itself from time to time: retention first, then collection of what that left. */
import { monotonicMs } from "#lib/clock.ts";
import { type Logger } from "#lib/log.ts";
import type { RegistryObserver } from "#registry/observer.ts";
import { BY_ITSELF, retentionEvents } from "#registry/observe/retention-events.ts";
import type { Registry } from "#registry/registry.ts";

const LOOK_LEAST_MS = 1000;
const LOOK_MOST_MS = 60_000;

export interface ScheduleConfig {
  /** 0: never. */
  readonly collectEveryMs: number;
  readonly collectsUntagged: boolean;
}

export interface UpkeepParts {
  readonly registry: Pick<Registry, "retain" | "collect">;
  /** Told of each tag that retention removed. */
  readonly observer: Pick<RegistryObserver, "event">;
  readonly log: Logger;
}

const runOnce = async (
  { registry, observer, log }: UpkeepParts,
  config: ScheduleConfig,
): Promise<void> => {
  const retained = await registry.retain({ isDryRun: false });
  for (const { repository, tag, reason } of retained.removed) {
    log.info("retention removed a tag", { repository, tag, reason });
  }
  for (const event of retentionEvents(retained, BY_ITSELF)) observer.event(event);
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

export const scheduleUpkeep = (parts: UpkeepParts, config: ScheduleConfig): AsyncDisposable => {
  if (config.collectEveryMs === 0) return { [Symbol.asyncDispose]: () => Promise.resolve() };
  let running: Promise<void> | undefined;
  let dueAtMs = monotonicMs() + config.collectEveryMs;
  // A timer of the runtime holds 24 days: what is longer would fire at once, again and again.
  const lookEveryMs = Math.min(Math.max(config.collectEveryMs, LOOK_LEAST_MS), LOOK_MOST_MS);
  const timer = setInterval(() => {
    if (running !== undefined || monotonicMs() < dueAtMs) return;
    dueAtMs = monotonicMs() + config.collectEveryMs;
    running = runOnce(parts, config)
      .catch((error: unknown) => parts.log.error("collection failed", { error }))
      .finally(() => {
        running = undefined;
      });
  }, lookEveryMs).unref();
  return {
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      await running;
    },
  };
};
