import { expect, test } from "bun:test";
import { ineffectiveLogOptions, rotationPolicy } from "#log/options.ts";

test("options without effect are named, defaults and working ones are not", () => {
  const working = { "max-size": "1m", mode: "blocking", compress: "true", tag: "x", labels: "a" };
  expect(ineffectiveLogOptions(working)).toEqual([]);
  expect(ineffectiveLogOptions({ mode: "non-blocking" })).toContain("mode");
});

test("compress is what Go takes for true and false", () => {
  for (const text of ["1", "t", "TRUE"]) {
    expect(rotationPolicy({ compress: text }).isCompressed).toBe(true);
  }
  expect(rotationPolicy({}).isCompressed).toBe(false);
  expect(rotationPolicy({ compress: "False" }).isCompressed).toBe(false);
  expect(() => rotationPolicy({ compress: "yes" })).toThrow("neither true nor false");
});
