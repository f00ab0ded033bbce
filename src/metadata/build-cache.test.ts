import { expect, test } from "bun:test";
import { openDatabase } from "#database/database.ts";
import { BUILD_CACHE_MIGRATIONS, createBuildCacheRows } from "#metadata/build-cache.ts";
import { digestOf } from "#spec/image/digest.ts";

const rowsOf = () => createBuildCacheRows(openDatabase(":memory:", BUILD_CACHE_MIGRATIONS));

const LAYER = digestOf("layer");

test("a row holds its layer until it is deleted", () => {
  const rows = rowsOf();
  const row = {
    key: "k",
    chainId: LAYER,
    parent: undefined,
    created: "2026-01-01T00:00:00Z",
    description: "RUN x",
    hasLayer: true,
    sizeBytes: 3,
    lastUsedAt: "2026-01-01T00:00:00Z",
    useCount: 1,
  };
  rows.put(row);
  expect(rows.get("k")).toEqual(row);
  expect(rows.isHeld(LAYER)).toBe(true);
  rows.touch(["k"], "2026-01-02T00:00:00Z");
  expect(rows.get("k")).toMatchObject({ useCount: 2, lastUsedAt: "2026-01-02T00:00:00Z" });
  rows.delete(["k"]);
  expect(rows.isHeld(LAYER)).toBe(false);
});

test("parts of keys are kept for the newest steps alone", () => {
  const rows = rowsOf();
  const at = (count: number): string => new Date(count * 1000).toISOString();
  for (let count = 0; count < 2005; count++) rows.putKeyParts(`step ${count}`, "{}", at(count));
  expect(rows.keyParts("step 4")).toBeUndefined();
  expect(rows.keyParts("step 5")).toBe("{}");
  expect(rows.keyParts("step 2004")).toBe("{}");
});
