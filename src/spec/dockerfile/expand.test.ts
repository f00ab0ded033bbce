import { expect, test } from "bun:test";

import { Complaint } from "#spec/dockerfile/error.ts";
import { expandWord, expandWords } from "#spec/dockerfile/expand.ts";

const ENV: Readonly<Record<string, string>> = { A: "a", E: "", S: "x y  z", P: "a/b/c" };
const lookup = (name: string): string | undefined => ENV[name];

test("words are cut at spaces outside of quotes, also those of variables", () => {
  expect(expandWords(`a "b c" $S "$S" d\\ e '' $E`, lookup)).toEqual([
    "a",
    "b c",
    "x",
    "y",
    "z",
    "x y  z",
    "d e",
  ]);
});

test("it is known which variables were used, and which were missing", () => {
  const { used, missing } = expandWord("$A ${N:-$M} ${P#a}", lookup);
  expect([...used]).toEqual(["A", "P"]);
  expect([...missing]).toEqual(["M", "N"]);
});

test("the escape of the file counts, not the backslash", () => {
  expect(expandWord("`$A \\$A", lookup, { escape: "`" }).text).toBe("$A \\a");
});

test("what is kept when the shell reads it again", () => {
  const kept = { keepsQuotes: true, keepsEscapes: true, keepsUnset: true };
  expect(expandWord(`"$A" \\$A '$A' $N \${N:-x}`, lookup, kept).text).toBe(
    `"a" \\$A '$A' $N \${N:-x}`,
  );
});

test("in a here-document quotes are text", () => {
  expect(expandWord(`"$A" it's`, lookup, { ignoresQuotes: true }).text).toBe(`"a" it's`);
});

test("a pattern with many stars ends soon", () => {
  const value = "a".repeat(2000);
  const text = expandWord("${V#*a*a*a*a*a*a*b}", () => value).text;
  expect(text).toBe(value);
});

test.each(["${A", "${}", "${A:=b}", "'a", '"a', "${N:?}"])("%s is refused", (text) => {
  expect(() => expandWord(text, lookup)).toThrow(Complaint);
});
