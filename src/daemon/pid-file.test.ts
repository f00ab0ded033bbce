import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { writePidFile } from "#daemon/pid-file.ts";

const base = mkdtempSync("/tmp/naru-pid-");
afterAll(() => rmSync(base, { recursive: true, force: true }));

test("holds this process's id and goes with it", () => {
  const path = `${base}/own`;
  const file = writePidFile(path);
  expect(readFileSync(path, "utf8")).toBe(`${process.pid}\n`);
  file[Symbol.dispose]();
  expect(existsSync(path)).toBe(false);
});

test("a daemon that runs keeps its file; ids of the dead and of other programs do not count", async () => {
  const path = `${base}/other`;
  // Waits on its stdin: it ends with this test and leaves no child behind.
  const daemon = Bun.spawn(["sh", "-c", "read line", "daemon"], { stdin: "pipe" });
  const arguments_ = `/proc/${daemon.pid}/cmdline`;
  // The kernel shows the arguments of a new program a moment after the spawn has returned; before that ours.
  while (!readFileSync(arguments_, "utf8").split("\0").includes("daemon")) await Bun.sleep(1);
  writeFileSync(path, `${daemon.pid}\n`);
  expect(() => writePidFile(path)).toThrow(
    `pid file "${path}" names a daemon that runs (process ${daemon.pid})`,
  );
  expect(readFileSync(path, "utf8")).toBe(`${daemon.pid}\n`);
  daemon.kill("SIGKILL");
  await daemon.exited;
  for (const stale of [String(daemon.pid), "1", "", "not a number"]) {
    writeFileSync(path, stale);
    using file = writePidFile(path);
    expect(readFileSync(path, "utf8")).toBe(`${process.pid}\n`);
    expect(file).toBeDefined();
  }
});

test("a file that another daemon has taken meanwhile is left alone", () => {
  const path = `${base}/taken`;
  const file = writePidFile(path);
  writeFileSync(path, "1\n");
  file[Symbol.dispose]();
  expect(existsSync(path)).toBe(true);
});
