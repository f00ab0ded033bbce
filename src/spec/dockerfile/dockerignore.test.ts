import { expect, test } from "bun:test";

import {
  IgnoreMatcher,
  dockerignoreNames,
  parseDockerignore,
} from "#spec/dockerfile/dockerignore.ts";

const matcher = (...lines: string[]): IgnoreMatcher =>
  new IgnoreMatcher(parseDockerignore(lines.join("\n")));

/** Which of the paths are ignored by the lines; each row was compared with Docker's own matcher. */
const ROWS: readonly (readonly [lines: string[], ignored: string, kept: string])[] = [
  [["node_modules"], "node_modules node_modules/a/b", "x/node_modules node_modulesx"],
  [["/build/"], "build build/x", "a/build"],
  [["./a/../b"], "b", "a"],
  [["*.md"], "a.md", "d/a.md"],
  [["*/*.md"], "d/a.md", "a.md d/e/a.md"],
  [["**/*.md"], "a.md d/a.md d/e/a.md", "a.mdx"],
  [["**/tmp"], "tmp a/tmp a/b/tmp/c", "xtmp"],
  [["**tmp"], "tmp xtmp a/xtmp", "tmpx"],
  [["a/**"], "a/b a/b/c", "a b"],
  [["a/**/z"], "a/z a/b/z a/b/c/z", "az a/bz"],
  [["**"], "a a/b", ""],
  [["*", "!src"], "a README", "src src/a/b"],
  [["a", "!a/b"], "a/c", "a/b a/b/c"],
  [["a", "!a/b", "a/b/c"], "a/b/c", "a/b/d"],
  [["!a", "a"], "a", "b"],
  [["a?c"], "abc", "ac a/c"],
  [["[a-c]x"], "ax bx", "dx [a-c]x"],
  [["[^a]x"], "bx", "ax"],
  [["\\*"], "*", "a"],
  [["a+b.c"], "a+b.c", "aab.c a+bxc"],
  [["# a", "b#"], "b#", "a"],
  [["  a  "], "a", "b"],
  [["! a", "b"], "b", "a"],
];

test.each(ROWS)("%j", (lines, ignored, kept) => {
  const rules = matcher(...lines);
  const paths = `${ignored} ${kept}`.split(" ").filter((path) => path !== "");
  const wanted = ignored.split(" ").filter((path) => path !== "");
  expect(paths.filter((path) => rules.isIgnored(path))).toEqual(wanted);
});

test("a directory is left unread only when nothing below it can come back", () => {
  const rules = matcher("*", "!a/b/c", "!x/**/y");
  expect(["a", "a/b", "a/b/c/d", "x/1/2", "z"].filter((d) => rules.canHoldExceptions(d))).toEqual([
    "a",
    "a/b",
    "x/1/2",
  ]);
});

test("the root is never ignored", () => {
  expect([".", "./", "/"].map((path) => matcher("**").isIgnored(path))).toEqual([
    false,
    false,
    false,
  ]);
});

test("what cannot be a pattern is refused", () => {
  expect(() => matcher("!")).toThrow('illegal exclusion pattern: "!"');
  expect(() => matcher("a[")).toThrow('invalid pattern "a["');
  expect(() => matcher("a\\")).toThrow('invalid pattern "a\\"');
  expect(() => matcher("[z-a]")).toThrow("runs backwards");
});

test("a Dockerfile's own file goes before the common one", () => {
  expect(dockerignoreNames("docker/a.Dockerfile")).toEqual([
    "docker/a.Dockerfile.dockerignore",
    ".dockerignore",
  ]);
});
