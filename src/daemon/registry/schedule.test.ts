import { expect, test } from "bun:test";
import { createLogger } from "#lib/log.ts";
import type { Registry } from "#registry/registry.ts";
import { scheduleUpkeep } from "#daemon/registry/schedule.ts";

const DAY_MS = 86_400_000;

test("a pause longer than a timer of the runtime can hold is a pause", async () => {
  let runs = 0;
  const registry = {
    retain: () => Promise.resolve({ removed: [], keptCount: 0 }),
    collect: () => {
      runs += 1;
      return Promise.reject(new Error("not now"));
    },
  } as unknown as Registry;
  const config = { collectEveryMs: 30 * DAY_MS, collectsUntagged: false };
  const schedule = scheduleUpkeep(
    registry,
    config,
    createLogger(() => undefined),
  );
  // A timer that overflowed fires every millisecond.
  await Bun.sleep(50);
  await schedule[Symbol.asyncDispose]();
  expect(runs).toBe(0);
});
