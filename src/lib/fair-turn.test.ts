import { expect, test } from "bun:test";

import { FairTurn } from "#lib/fair-turn.ts";

test("who works for long lets others go first", async () => {
  const turn = new FairTurn();
  let others = 0;
  const timer = setInterval(() => (others += 1), 1);
  const began = performance.now();
  let steps = 0;
  while (performance.now() - began < 50) {
    steps += 1;
    if (turn.isOver) await turn.yield();
  }
  clearInterval(timer);
  expect(steps).toBeGreaterThan(10);
  expect(others).toBeGreaterThan(3);
});
