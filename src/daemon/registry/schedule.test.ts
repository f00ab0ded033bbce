import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLogger } from "#lib/log.ts";
import type { RegistryEvent } from "#registry/observer.ts";
import {
  type UpkeepMemory,
  type UpkeepParts,
  scheduleUpkeep,
  upkeepMemory,
} from "#daemon/registry/schedule.ts";

const DAY_MS = 86_400_000;
const log = createLogger(() => undefined);

const memory: UpkeepMemory = { elapsedMs: () => undefined, done: () => undefined };

const registryThat = (collects: () => void): UpkeepParts["registry"] => ({
  retain: () =>
    Promise.resolve({
      removed: [{ repository: "ci/a", tag: "old", reason: "nothing keeps it" }],
      keptCount: 1,
    }),
  collect: () => {
    collects();
    return Promise.reject(new Error("not now"));
  },
});

test("what retention removes by itself is told to the observers", async () => {
  const told: RegistryEvent[] = [];
  const collected = Promise.withResolvers<undefined>();
  const registry = registryThat(() => collected.resolve(undefined));
  const observer = { event: (event: RegistryEvent) => void told.push(event) };
  await using _schedule = scheduleUpkeep(
    { registry, observer, log, memory },
    { collectEveryMs: 1, collectsUntagged: false },
  );
  await collected.promise;
  expect(told[0]).toMatchObject({
    action: "delete",
    kind: "tag",
    repository: "ci/a",
    tags: ["old"],
    actor: "naru:retention",
  });
});

test("a pause longer than a timer of the runtime can hold is a pause", async () => {
  let runs = 0;
  const registry = registryThat(() => {
    runs += 1;
  });
  const schedule = scheduleUpkeep(
    { registry, observer: { event: () => undefined }, log, memory },
    { collectEveryMs: 30 * DAY_MS, collectsUntagged: false },
  );
  // A timer that overflowed fires every millisecond.
  await Bun.sleep(50);
  await schedule[Symbol.asyncDispose]();
  expect(runs).toBe(0);
});

test("the pause counts from the last collection, whichever process that was of", async () => {
  const root = mkdtempSync(join(tmpdir(), "naru-upkeep-"));
  using _root = { [Symbol.dispose]: () => rmSync(root, { recursive: true }) };
  expect(upkeepMemory(root).elapsedMs()).toBeUndefined();
  const write = (ageMs: number): void =>
    writeFileSync(
      join(root, "upkeep.json"),
      JSON.stringify({ collectedAt: new Date(Date.now() - ageMs).toISOString() }),
    );
  const collectedBy = async (isTooEarly: boolean): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const none = { manifests: [], blobs: [], freedBytes: 0, repositories: [], strayFiles: 0 };
    const registry: UpkeepParts["registry"] = {
      retain: () => Promise.resolve({ removed: [], keptCount: 0 }),
      collect: () => {
        resolve(undefined);
        return Promise.resolve({ ...none, isTooEarly });
      },
    };
    await using _schedule = scheduleUpkeep(
      { registry, observer: { event: () => undefined }, log, memory: upkeepMemory(root) },
      { collectEveryMs: 1000, collectsUntagged: false },
    );
    await promise;
  };
  write(60_000);
  await collectedBy(true);
  // It had to wait: that is no collection.
  expect(upkeepMemory(root).elapsedMs()).toBeGreaterThan(59_000);
  await collectedBy(false);
  expect(upkeepMemory(root).elapsedMs()).toBeLessThan(59_000);
  write(-60_000);
  expect(upkeepMemory(root).elapsedMs()).toBe(0);
  writeFileSync(join(root, "upkeep.json"), "garbage");
  expect(upkeepMemory(root).elapsedMs()).toBeUndefined();
});
