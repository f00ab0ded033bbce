import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";

import { BuildHistory, type BuildRecord, HISTORY_MAX_COUNT } from "#build/history.ts";
import { nowNs } from "#lib/clock.ts";
import { openDatabase } from "#database/database.ts";
import { BUILD_HISTORY_MIGRATIONS, createBuildHistoryRows } from "#metadata/build-history.ts";

const directory = mkdtempSync("/tmp/naru-history-");
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const nowMs = (): number => Number(nowNs() / 1_000_000n);

const record = (ref: string, completedMs = nowMs()): Omit<BuildRecord, "log"> => ({
  ref,
  frontend: "dockerfile.v0",
  attributes: { target: "x" },
  exporters: [],
  error: undefined,
  startedMs: completedMs - 5,
  completedMs,
  response: {},
  isPinned: false,
  steps: { total: 1, completed: 1, cached: 0 },
  warnings: 0,
});

test("a build and its words are there after a restart; strays are not", () => {
  const rows = createBuildHistoryRows(openDatabase(":memory:", BUILD_HISTORY_MIGRATIONS));
  const history = new BuildHistory(directory, rows);
  const { log } = history.add(record("a"), Buffer.from("words"));
  history.setPinned("a", true);
  writeFileSync(`${directory}/stray`, "");
  const again = new BuildHistory(directory, rows);
  expect(again.find("a")).toMatchObject({ isPinned: true, attributes: { target: "x" }, log });
  expect(readdirSync(directory)).toHaveLength(1);
  expect(readFileSync(again.blob(log.digest)?.path ?? "", "utf8")).toBe("words");
  expect(again.blob("../../etc/passwd")).toBeUndefined();
  again.remove("a");
  expect(readdirSync(directory)).toEqual([]);
  expect(() => again.remove("a")).toThrow('there is no build "a" in the history');
});

test("what is attested of a build's results is kept and goes with it", () => {
  const rows = createBuildHistoryRows(openDatabase(":memory:", BUILD_HISTORY_MIGRATIONS));
  const history = new BuildHistory(directory, rows);
  const one = { platform: "linux/amd64", predicateType: "p", content: Buffer.from("{}") };
  history.add(record("a"), Buffer.from("words"), [one, { ...one, platform: "linux/arm64" }]);
  const again = new BuildHistory(directory, rows);
  const [first, second] = again.find("a")?.attestations ?? [];
  expect(first).toMatchObject({ platform: "linux/amd64", predicateType: "p", sizeBytes: 2 });
  expect(second?.digest).toBe(first!.digest);
  expect(readFileSync(again.blob(first!.digest)?.path ?? "", "utf8")).toBe("{}");
  again.remove("a");
  expect(readdirSync(directory)).toEqual([]);
});

test("the oldest go first, pinned ones stay, what is too old goes", () => {
  const rows = createBuildHistoryRows(openDatabase(":memory:", BUILD_HISTORY_MIGRATIONS));
  const history = new BuildHistory(directory, rows);
  history.add(record("pinned"), Buffer.from("p"));
  history.setPinned("pinned", true);
  for (let index = 0; index < HISTORY_MAX_COUNT + 3; index += 1) {
    history.add(record(`b${index}`), Buffer.from(`words ${index}`));
  }
  const refs = history.list().map(({ ref }) => ref);
  expect(refs).toHaveLength(HISTORY_MAX_COUNT + 1);
  expect(refs).toContain("pinned");
  expect(refs).not.toContain("b2");
  expect(refs).toContain("b3");
  history.prune(nowMs() + 49 * 3600 * 1000);
  expect(history.list().map(({ ref }) => ref)).toEqual(["pinned", `b${HISTORY_MAX_COUNT + 2}`]);
  expect(rows.all()).toHaveLength(2);
});
