import { expect, test } from "bun:test";

import { FairTurn } from "#lib/fair-turn.ts";

test("a turn is over after a while, and who yields comes after those that waited", async () => {
  const turn = new FairTurn();
  const order: string[] = [];
  setImmediate(() => order.push("other"));
  while (!turn.isOver) await Promise.resolve();
  order.push("mine");
  await turn.yield();
  order.push("mine again");
  expect(order).toEqual(["mine", "other", "mine again"]);
});
