import { expect, test } from "bun:test";
import { formatDuration, parseDurationNs, parseLongDurationNs } from "#lib/duration.ts";

const READ: readonly (readonly [string, bigint | undefined])[] = [
  ["0", 0n],
  ["-0", 0n],
  ["5s", 5_000_000_000n],
  ["+5s", 5_000_000_000n],
  ["-1.5h", -5_400_000_000_000n],
  ["1h30m", 5_400_000_000_000n],
  ["1m30.5s", 90_500_000_000n],
  [".5s", 500_000_000n],
  ["1.s", 1_000_000_000n],
  ["100µs", 100_000n],
  ["100μs", 100_000n],
  ["100us", 100_000n],
  ["1.23456789012ms", 1_234_567n],
  ["9223372036854775807ns", 9_223_372_036_854_775_807n],
  ["", undefined],
  ["5", undefined],
  [".s", undefined],
  ["s", undefined],
  ["-", undefined],
  ["1 s", undefined],
  ["5S", undefined],
  ["1h-1m", undefined],
  ["2d", undefined],
  ["1toString", undefined],
  ["9223372036854775808ns", undefined],
];

for (const [text, ns] of READ) {
  test(`"${text}" is ${ns === undefined ? "no duration" : `${ns} ns`}`, () => {
    expect(parseDurationNs(text)).toBe(ns);
  });
}

test("days and weeks only where they were asked for", () => {
  expect(parseLongDurationNs("1w2d")).toBe(777_600_000_000_000n);
  expect(parseLongDurationNs("90s")).toBe(90_000_000_000n);
});

test("printed as Go does, and read again", () => {
  const printed = [0, 1, 1_500, 1_500_000, 1e9, 90e9, 3600e9, 5_400_500_000_000, -5e9];
  expect(printed.map(formatDuration)).toEqual([
    "0s",
    "1ns",
    "1.5µs",
    "1.5ms",
    "1s",
    "1m30s",
    "1h0m0s",
    "1h30m0.5s",
    "-5s",
  ]);
  for (const ns of printed) expect(parseDurationNs(formatDuration(ns))).toBe(BigInt(ns));
});
