import { expect, test } from "bun:test";
import { cut, row } from "#cli/build/terminal.ts";
import { LineSplitter } from "#cli/build/progress.ts";

test("lines are cut by the columns they take, not by their characters", () => {
  expect(cut("short", 10)).toBe("short");
  expect(cut("abcdefghij", 10)).toBe("abcdefghij");
  expect(cut("abcdefghijk", 10)).toBe("abcdefghi…");
  expect(cut("漢字漢字漢字", 10)).toBe("漢字漢字…");
  expect(Bun.stringWidth(cut("漢字漢字漢字", 8))).toBeLessThanOrEqual(8);
});

test("a figure stands at the right edge, whatever the text is", () => {
  for (const text of ["", "RUN make", "漢字".repeat(40), "x".repeat(400)]) {
    const line = row(text, "12.3s", 60);
    expect(Bun.stringWidth(line)).toBe(60);
    expect(line).toEndWith(" 12.3s");
  }
});

test("what a progress bar wrote last is seen before its line ends", () => {
  const splitter = new LineSplitter();
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  expect(splitter.take(base64("one\n 10 %\r 20 %"))).toEqual(["one"]);
  expect(splitter.partial).toBe(" 20 %");
  splitter.take(base64("\r"));
  expect(splitter.partial).toBe(" 20 %");
});
