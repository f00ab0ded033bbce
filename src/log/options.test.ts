import { expect, test } from "bun:test";
import { ineffectiveLogOptions } from "#log/options.ts";

test("options without effect are named, defaults and working ones are not", () => {
  expect(
    ineffectiveLogOptions({ "max-size": "1m", mode: "blocking", compress: "false", tag: "x" }),
  ).toEqual(["tag"]);
  expect(ineffectiveLogOptions({ mode: "non-blocking", "max-file": "2" })).toEqual(["mode"]);
});
