import { expect, test } from "bun:test";
import { silentLogger } from "#lib/log.ts";
import { type BudgetItem, DiskBudget, planRemovals } from "#gc/budget.ts";

const item = (
  id: string,
  kind: BudgetItem["kind"],
  sizeBytes: number,
  day: number,
  keptBecause?: string,
): BudgetItem => ({
  id,
  name: id,
  kind,
  sizeBytes,
  lastUsedAt: `2026-01-0${day}T00:00:00Z`,
  ...(keptBecause === undefined ? {} : { keptBecause }),
});

const ITEMS = [
  item("new", "image", 10, 9),
  item("old", "image", 10, 1),
  item("oldest", "image", 10, 1, "a container uses it"),
  item("cache", "build cache", 10, 5),
  item("thrown", "trash", 10, 8),
];

const idsOf = (items: readonly BudgetItem[]): string[] => items.map(({ id }) => id);

test("trash goes first, then the least recently used, never what is kept, and no more than needed", () => {
  expect(idsOf(planRemovals(ITEMS, 50, 50))).toEqual([]);
  expect(idsOf(planRemovals(ITEMS, 51, 50))).toEqual(["thrown"]);
  expect(idsOf(planRemovals(ITEMS, 50, 25))).toEqual(["thrown", "old", "cache"]);
  expect(idsOf(planRemovals(ITEMS, 50, 0))).toEqual(["thrown", "old", "cache", "new"]);
});

const budgetOf = (budgetBytes: number, stuck: readonly string[] = []) => {
  let left = ITEMS;
  const told: string[] = [];
  const budget = new DiskBudget({
    budgetBytes,
    measure: async () => left.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    items: async () => left,
    remove: async ({ id }) => {
      if (stuck.includes(id)) throw new Error("in use");
      left = left.filter((other) => other.id !== id);
    },
    onRemoved: (removed, reason) => told.push(`${removed.id}: ${reason}`),
    log: silentLogger,
  });
  return { budget, told };
};

test("it removes until it fits, says what and why, and does nothing when it fits", async () => {
  const { budget, told } = budgetOf(30);
  const [first, second] = await Promise.all([budget.enforce(), budget.enforce()]);
  expect(first).toBe(second);
  expect([idsOf(first.removed), first.usedBytes]).toEqual([["thrown", "old"], 30]);
  expect(told[0]).toMatch(/^thrown: .* are used, the disk budget is .*, and it was last used at/);
  expect((await budget.enforce()).removed).toEqual([]);
});

test("what cannot be removed is passed over; kept things stay though it does not fit", async () => {
  const { budget } = budgetOf(5, ["old"]);
  const { removed, usedBytes } = await budget.enforce();
  expect([idsOf(removed), usedBytes]).toEqual([["thrown", "cache", "new"], 20]);
});
