/** What a registry does by itself from time to time: retention first, then collection of what that left. */
import { existsSync, readFileSync } from "node:fs";
import { writeFileAtomic } from "#lib/atomic-file.ts";
import { formatInstant, monotonicMs, nowNs, parseInstant } from "#lib/clock.ts";
import { type Logger } from "#lib/log.ts";
import type { RegistryObserver } from "#registry/observer.ts";
import { BY_ITSELF, retentionEvents } from "#registry/observe/retention-events.ts";
import type { Registry } from "#registry/registry.ts";

const LOOK_LEAST_MS = 1000;
const LOOK_MOST_MS = 60_000;
/** Until the next look where collection had to wait: clients may have been told of things before this start. */
const TOO_EARLY_MS = 300_000;
const FILE = "upkeep.json";

export interface ScheduleConfig {
  /** 0: never. */
  readonly collectEveryMs: number;
  readonly collectsUntagged: boolean;
}

/** When the last collection was, over restarts. */
export interface UpkeepMemory {
  /** Milliseconds since it, by the clock on the wall; undefined: none is known. */
  elapsedMs(): number | undefined;
  done(): void;
}

const nowMs = (): number => Number(nowNs() / 1_000_000n);

/** In a file of the registry's root. One that cannot be read says nothing. */
export const upkeepMemory = (root: string): UpkeepMemory => {
  const path = `${root}/${FILE}`;
  return {
    elapsedMs: () => {
      try {
        if (!existsSync(path)) return undefined;
        const { collectedAt } = JSON.parse(readFileSync(path, "utf8")) as { collectedAt: string };
        // A clock that was set back makes nothing due sooner than a whole pause.
        return Math.max(0, nowMs() - Number(parseInstant(collectedAt) / 1_000_000n));
      } catch {
        return undefined;
      }
    },
    done: () => writeFileAtomic(path, JSON.stringify({ collectedAt: formatInstant(nowNs()) })),
  };
};

export interface UpkeepParts {
  readonly registry: Pick<Registry, "retain" | "collect">;
  /** Told of each tag that retention removed. */
  readonly observer: Pick<RegistryObserver, "event">;
  readonly memory: UpkeepMemory;
  readonly log: Logger;
}

/** False where collection had to wait. */
const runOnce = async (
  { registry, observer, log }: UpkeepParts,
  config: ScheduleConfig,
): Promise<boolean> => {
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
  return !report.isTooEarly;
};

/** The pause counts from the last collection, also that of a process before this one. */
export const scheduleUpkeep = (parts: UpkeepParts, config: ScheduleConfig): AsyncDisposable => {
  if (config.collectEveryMs === 0) return { [Symbol.asyncDispose]: () => Promise.resolve() };
  let running: Promise<void> | undefined;
  const { memory, log } = parts;
  const { collectEveryMs } = config;
  const pausedMs = memory.elapsedMs();
  if (pausedMs === undefined) memory.done();
  let dueAtMs = monotonicMs() + Math.max(0, collectEveryMs - (pausedMs ?? 0));
  // A timer of the runtime holds 24 days: what is longer would fire at once, again and again.
  const lookEveryMs = Math.min(Math.max(collectEveryMs, LOOK_LEAST_MS), LOOK_MOST_MS);
  const timer = setInterval(() => {
    if (running !== undefined || monotonicMs() < dueAtMs) return;
    dueAtMs = monotonicMs() + collectEveryMs;
    running = runOnce(parts, config)
      .then((isDone) => {
        if (isDone) memory.done();
        else dueAtMs = monotonicMs() + Math.min(collectEveryMs, TOO_EARLY_MS);
      })
      .catch((error: unknown) => log.error("collection failed", { error }))
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
