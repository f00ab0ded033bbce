import { expect, test } from "bun:test";
import { isComplaint } from "#container/never-ran.ts";

const STARTED = "2026-01-01T00:00:05.000000000Z";
const said = (text: string, second = "05", stream = "stderr") =>
  `2026-01-01T00:00:${second}.500000000+00:00 ${stream} F ${text}\n`;
const FORMAT = "exec container process `/t/empty`: Exec format error";

test("a program that never ran is told from one that failed", () => {
  const library =
    "exec container process (missing dynamic library?) `/x`: No such file or directory";
  const colour = `\x1b[1;31m2026-01-01T00:00:05.0026Z: ${FORMAT}\x1b[0m\r`;
  expect(isComplaint(said(FORMAT), STARTED)).toBe(true);
  expect(isComplaint(said(library), STARTED)).toBe(true);
  expect(isComplaint(said(colour, "05", "stdout"), STARTED)).toBe(true);
  // An earlier run of the container may have said anything.
  expect(isComplaint(said("hello", "04") + said(FORMAT), STARTED)).toBe(true);
  expect(isComplaint("", STARTED)).toBe(false);
  expect(isComplaint(said("no"), STARTED)).toBe(false);
  expect(isComplaint(said(FORMAT, "04"), STARTED)).toBe(false);
  expect(isComplaint(said("hello") + said(FORMAT), STARTED)).toBe(false);
  expect(isComplaint(said(FORMAT) + said("more"), STARTED)).toBe(false);
  expect(isComplaint(said(`${FORMAT} \`and more\``), STARTED)).toBe(false);
});
