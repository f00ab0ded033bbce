import { expect, test } from "bun:test";
import { formatProgress } from "#cli/terminal/progress.ts";
import { DetachFilter, parseDetachKeys } from "#cli/terminal/detach-keys.ts";

test("keys by name", () => {
  expect([...parseDetachKeys("")]).toEqual([16, 17]);
  expect([...parseDetachKeys("ctrl-a,d")]).toEqual([1, 100]);
  expect([...parseDetachKeys("ctrl-[,ctrl-@")]).toEqual([27, 0]);
  expect(() => parseDetachKeys("shift-a")).toThrow("unknown character: 'shift-a'");
});

const feed = (...chunks: readonly string[]) => {
  const filter = new DetachFilter(parseDetachKeys(""));
  let passed = "";
  for (const chunk of chunks) {
    const { bytes, isDetached } = filter.filter(Buffer.from(chunk));
    passed += Buffer.from(bytes).toString();
    if (isDetached) return `${passed}!`;
  }
  return passed;
};

test("a whole sequence detaches, a broken one is passed on", () => {
  expect(feed("ab\u0010\u0011")).toBe("ab!");
  expect(feed("a\u0010", "\u0011")).toBe("a!");
  expect(feed("a\u0010", "b")).toBe("a\u0010b");
  expect(feed("\u0010\u0010\u0011")).toBe("\u0010!");
  expect(feed("\u0010")).toBe("");
});

test("bars of progress", () => {
  expect(formatProgress({ progressDetail: { current: 50, total: 100 } }, 80)).toBe(
    `[${"=".repeat(25)}>${" ".repeat(24)}]  50B/100B`,
  );
  expect(formatProgress({ progressDetail: { current: 1500 } }, 80)).toBe("1.5kB");
  expect(formatProgress({ progressDetail: {} }, 80)).toBe("");
});
