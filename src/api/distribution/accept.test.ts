import { expect, test } from "bun:test";

import { acceptsOf } from "#api/distribution/accept.ts";

const CASES: readonly [string | undefined, string, boolean][] = [
  [undefined, "a/b", true],
  ["*/*", "a/b", true],
  ["a/b", "a/b", true],
  ["a/c, a/b;q=0.5", "a/b", true],
  ["A/B", "a/b", true],
  ["a/b;q=0", "a/b", false],
  ["a/b;q=0.0, a/c", "a/b", false],
  ["text/html", "a/b", false],
  ["application/*", "application/x", true],
  ["", "a/b", true],
];
for (const [field, type, isTaken] of CASES) {
  test(`Accept ${JSON.stringify(field)} and ${type}`, () =>
    expect(acceptsOf(field)(type)).toBe(isTaken));
}
