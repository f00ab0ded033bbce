import { expect, test } from "bun:test";
import { createLogger } from "#lib/log.ts";
import type { RegistryEvent } from "#registry/observer.ts";
import { type UpkeepParts, scheduleUpkeep } from "#daemon/registry/schedule.ts";

const DAY_MS = 86_400_000;
const log = createLogger(() => undefined);

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
    { registry, observer, log },
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
    { registry, observer: { event: () => undefined }, log },
    { collectEveryMs: 30 * DAY_MS, collectsUntagged: false },
  );
  // A timer that overflowed fires every millisecond.
  await Bun.sleep(50);
  await schedule[Symbol.asyncDispose]();
  expect(runs).toBe(0);
});
