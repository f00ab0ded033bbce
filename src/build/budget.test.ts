import { expect, test } from "bun:test";
import { tmpdir } from "node:os";
import { CacheBudget, budgetOf } from "#build/budget.ts";
import { silentLogger } from "#lib/log.ts";

test("a tenth of the disk, but never less than 2 GB", () => {
  expect(budgetOf(500e9)).toBe(50e9);
  expect(budgetOf(1e9)).toBe(2e9);
});

test("it is looked at once in a while, not after every build", () => {
  const kept: number[] = [];
  const budget = new CacheBudget(tmpdir(), silentLogger, async (keepBytes) => {
    kept.push(keepBytes);
    return { deleted: [], reclaimedBytes: 0 };
  });
  budget.check();
  budget.check();
  expect(kept).toHaveLength(1);
  expect(kept[0]).toBeGreaterThanOrEqual(2e9);
});
