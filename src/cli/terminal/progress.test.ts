import { expect, test } from "bun:test";
import { Pace, formatProgress } from "#cli/terminal/progress.ts";

const at = (current: number, total = 100_000_000) => ({
  id: "a",
  status: "Downloading",
  progressDetail: { current, total },
});

test("speed and time left, once there is something to measure", () => {
  const pace = new Pace();
  expect(pace.text(at(1_000_000), 0)).toBe("");
  expect(pace.text(at(2_000_000), 500)).toBe("");
  expect(pace.text(at(21_000_000), 2000)).toBe("10MB/s 8s left");
  expect(pace.text(at(100_000_000), 3000)).toBe("");
  expect(pace.text({ id: "a", status: "Pull complete" }, 3000)).toBe("");
  expect(pace.text(at(0), 4000)).toBe(""); // began anew
  expect(pace.text(at(1_000_000), 6000)).toBe("500kB/s 3m18s left");
});

test("the bar has the room that is left, or none", () => {
  expect(formatProgress(at(50_000_000), 30)).toBe("[=======>       ]  50MB/100MB");
  expect(formatProgress(at(50_000_000), 20)).toBe("50MB/100MB");
  expect(formatProgress(at(50_000_000), 200, "1MB/s 50s left")).toBe(
    `[${"=".repeat(25)}>${" ".repeat(24)}]  50MB/100MB 1MB/s 50s left`,
  );
});
