import { expect, test } from "bun:test";
import { matchChanges } from "#compose/watch.ts";

const RULE = { path: "/p/src", action: "sync", target: "/app" } as const;

test("what the build leaves out of its context is no change, outside of the context it says nothing", () => {
  const leftOut = { context: "/p/src", patterns: ["*.log", "!keep.log"] };
  const paths = ["/p/src/a", "/p/src/b.log", "/p/src/keep.log"];
  const targets = (context: string): (string | undefined)[] =>
    matchChanges([{ service: "s", rule: RULE, leftOut: { ...leftOut, context } }], paths).map(
      ({ target }) => target,
    );
  expect(targets("/p/src")).toEqual(["/app/a", "/app/keep.log"]);
  expect(targets("/p/other")).toEqual(["/app/a", "/app/b.log", "/app/keep.log"]);
});
