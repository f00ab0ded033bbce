import { expect, test } from "bun:test";
import { createLogger } from "#lib/log.ts";
import { createStderrLog } from "#daemon/log-sink.ts";

const record = () => {
  const lines: string[] = [];
  const stderr = createStderrLog((line) => void lines.push(line));
  return { lines, stderr, log: createLogger(stderr.sink) };
};
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z /;
const untimed = (lines: readonly string[]): string[] => lines.map((line) => line.replace(TIME, ""));

test("text: time, level, message, fields quoted where they need it", () => {
  const { lines, log } = record();
  log.info("stopping", { signal: "SIGTERM", count: 2, empty: "", none: undefined });
  log.warn("odd", { path: "/a b", quoted: 'x"y', list: ["a", "b"], error: new Error("no space") });
  log.error("big", { size: 2n ** 60n });
  expect(lines[0]).toMatch(TIME);
  expect(untimed(lines)).toEqual([
    'INFO  stopping signal=SIGTERM count=2 empty="" none=null\n',
    'WARN  odd path="/a b" quoted="x\\"y" list="[\\"a\\",\\"b\\"]" error="no space"\n',
    "ERROR big size=1152921504606846976\n",
  ]);
});

test("JSON: one object a line, with the fields of the logger", () => {
  const { lines, log, stderr } = record();
  stderr.configure("info", "json");
  log.with({ room: "api" }).error("a\nline", { error: new Error("why"), ns: 5n });
  const value = JSON.parse(lines[0] ?? "") as Record<string, unknown>;
  expect(value).toMatchObject({
    level: "error",
    msg: "a\nline",
    room: "api",
    error: "why",
    ns: "5",
  });
  expect(String(value["time"])).toMatch(/Z$/);
  expect(lines[0]?.trimEnd()).not.toContain("\n");
});

test("levels below the minimum are not written, and the minimum can change", () => {
  const { lines, log, stderr } = record();
  log.debug("1");
  stderr.configure("debug", "text");
  log.debug("2");
  stderr.configure("error", "text");
  log.warn("3");
  log.error("4");
  expect(untimed(lines)).toEqual(["DEBUG 2\n", "ERROR 4\n"]);
});

test("what cannot be written or told does not stop the engine", () => {
  const log = createLogger(
    createStderrLog(() => {
      throw new Error("EPIPE");
    }).sink,
  );
  log.info("nobody reads");
  const circular: Record<string, unknown> = {};
  circular["self"] = circular;
  createLogger(createStderrLog(() => undefined).sink).info("circle", circular);
});
