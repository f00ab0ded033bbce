import { expect, test } from "bun:test";
import { globExpression } from "#build/op/glob.ts";
import { applyMode } from "#build/op/mode.ts";

test.each([
  ["755", 0o644, false, 0o755],
  ["0640", 0o777, false, 0o640],
  ["4711", 0, false, 0o4711],
  ["u+x", 0o644, false, 0o744],
  ["+x", 0o644, false, 0o755],
  ["go-r", 0o644, false, 0o600],
  ["a=r,u+w", 0o777, false, 0o644],
  ["u=rwX,go=rX", 0o600, true, 0o755],
  ["u=rwX,go=rX", 0o600, false, 0o644],
  ["g=u", 0o640, false, 0o660],
  ["u+s", 0o755, false, 0o4755],
])("--chmod=%s on %o", (text, mode, isTree, wanted) => {
  expect(applyMode(text, mode, isTree)).toBe(wanted);
});

test.each(["8", "u+z", "rw", "77777", ""])("--chmod=%p is refused", (text) => {
  expect(() => applyMode(text, 0, false)).toThrow("invalid chmod");
});

test.each([
  ["*.txt", "a.txt", true],
  ["*.txt", "a/b.txt", false],
  ["a?c", "abc", true],
  ["[a-c]x", "bx", true],
  ["[^a-c]x", "bx", false],
  ["a\\*", "a*", true],
  ["a\\*", "ab", false],
  ["a.c", "abc", false],
])("pattern %s and %s: %p", (pattern, name, matches) => {
  expect(globExpression(pattern).test(name)).toBe(matches);
});

test.each(["[a", "[]", "a\\", "[a-"])("pattern %s is refused", (pattern) => {
  expect(() => globExpression(pattern)).toThrow("syntax error in pattern");
});
