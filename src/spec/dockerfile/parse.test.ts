import { expect, test } from "bun:test";

import { DockerfileError } from "#spec/dockerfile/error.ts";
import { parseDockerfile } from "#spec/dockerfile/parse.ts";

const failure = (text: string): DockerfileError => {
  try {
    parseDockerfile(text);
  } catch (error) {
    if (error instanceof DockerfileError) return error;
    throw error;
  }
  throw new Error("it was taken");
};

test("an error shows the word that is wrong, in its line", () => {
  const error = failure("FROM a\nCOPY --chwon=1 \\\n  a b\n");
  expect(error.message).toBe(
    "dockerfile parse error on line 2: unknown flag: --chwon (did you mean chown?)",
  );
  expect(error.frame).toBe(
    [
      "  1 | FROM a",
      "> 2 | COPY --chwon=1 \\",
      "    |      ^^^^^^^^^",
      "  3 |   a b",
      "  4 |",
    ].join("\n"),
  );
  expect(error.details["column"]).toBe(6);
});

test("a word on a continued line has its own line and column", () => {
  const error = failure("FROM a\nENV A=1 \\\n  # a comment\n\n  B C=2\n");
  expect(error.range).toEqual({ start: { line: 5, column: 3 }, end: { line: 5, column: 4 } });
});

test("comments and blank lines inside of a continued instruction do not end it", () => {
  const file = parseDockerfile("FROM a\nRUN a && \\\n# no\n\n   b\n");
  expect(file.stages[0]?.instructions[0]?.source).toBe("RUN a &&    b");
  expect(file.emptyContinuationLines).toEqual([5]);
});

test("here-documents: several, chomped, quoted, and the line behind them", () => {
  const text = "FROM a\nCOPY <<x <<-'y' /d/\n1\nx\n\t2 $A\n\ty\nUSER u\n";
  const [copy, user] = parseDockerfile(text).stages[0]?.instructions ?? [];
  expect(copy?.name === "COPY" && copy.inlineFiles).toEqual([
    { path: "x", content: "1\n", isExpanded: true },
    { path: "y", content: "2 $A\n", isExpanded: false },
  ]);
  expect(user?.range.start.line).toBe(7);
});
