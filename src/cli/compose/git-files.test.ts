import { expect, test } from "bun:test";
import { refIn } from "#cli/compose/git-files.ts";

const [A, B, C, D] = ["a", "b", "c", "d"].map((digit) => digit.repeat(40));
const LISTING = `${A}\trefs/heads/feature/main
${B}\trefs/heads/main
${C}\trefs/tags/old/v1
${D}\trefs/tags/v1
`;

test("a branch is not taken for another one that ends with its name", () => {
  expect(refIn(LISTING, "main")).toBe(B);
  expect(refIn(LISTING, "feature/main")).toBe(A);
  expect(refIn(LISTING, "refs/heads/main")).toBe(B);
  expect(refIn(LISTING, "v1")).toBe(D);
  expect(refIn(`${A}\tHEAD\n${B}\trefs/remotes/origin/HEAD\n`, "HEAD")).toBe(A);
});

test("no name of another one stands for a branch that is not there", () => {
  expect(refIn(`${A}\trefs/heads/feature/main\n`, "main")).toBeUndefined();
  expect(refIn("", "main")).toBeUndefined();
});
