import { expect, test } from "bun:test";
import { afterExit, startsWithDaemon } from "#container/restart-policy.ts";
import type { RestartPolicy } from "#spec/docker/host-config.ts";

const policy = (Name: RestartPolicy["Name"], MaximumRetryCount = 0): RestartPolicy => ({
  Name,
  MaximumRetryCount,
});
const exit = { exitCode: 1, ranMs: 5, restartCount: 0, isStoppedByUser: false, previousDelayMs: 0 };

test("no policy: stays down", () => {
  expect(afterExit(policy("no"), exit)).toEqual({ restarts: false });
  expect(afterExit(policy(""), exit)).toEqual({ restarts: false });
});

test("always comes back, also after success, but not after a user's stop", () => {
  expect(afterExit(policy("always"), { ...exit, exitCode: 0 })).toEqual({
    restarts: true,
    delayMs: 100,
  });
  expect(afterExit(policy("always"), { ...exit, isStoppedByUser: true })).toEqual({
    restarts: false,
  });
});

test("on-failure counts its retries and lets success be", () => {
  expect(afterExit(policy("on-failure", 2), { ...exit, restartCount: 1 })).toMatchObject({
    restarts: true,
  });
  expect(afterExit(policy("on-failure", 2), { ...exit, restartCount: 2 })).toEqual({
    restarts: false,
  });
  expect(afterExit(policy("on-failure"), { ...exit, exitCode: 0 })).toEqual({ restarts: false });
});

test("the delay doubles up to a minute and starts anew after a long run", () => {
  const delays = [];
  let previousDelayMs = 0;
  for (let run = 0; run < 12; run += 1) {
    const next = afterExit(policy("always"), { ...exit, previousDelayMs });
    if (next.restarts) previousDelayMs = next.delayMs;
    delays.push(previousDelayMs);
  }
  expect(delays).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]);
  expect(afterExit(policy("always"), { ...exit, previousDelayMs, ranMs: 11_000 })).toEqual({
    restarts: true,
    delayMs: 100,
  });
});

test("at daemon start: always in any case, unless-stopped unless stopped, on-failure when it failed", () => {
  const stopped = { isStoppedByUser: true, wasRunning: false, exitCode: 0 };
  expect(startsWithDaemon(policy("always"), stopped)).toBe(true);
  expect(startsWithDaemon(policy("unless-stopped"), stopped)).toBe(false);
  expect(startsWithDaemon(policy("unless-stopped"), { ...stopped, isStoppedByUser: false })).toBe(
    true,
  );
  expect(
    startsWithDaemon(policy("on-failure"), {
      isStoppedByUser: false,
      wasRunning: true,
      exitCode: 3,
    }),
  ).toBe(true);
  expect(
    startsWithDaemon(policy("no"), { isStoppedByUser: false, wasRunning: true, exitCode: 3 }),
  ).toBe(false);
});
