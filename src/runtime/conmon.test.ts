import { expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";

import { createKernel } from "#kernel/real.ts";
import { lineReader } from "#runtime/conmon.ts";

const linesOf = async (content: string, calls: number): Promise<string[]> => {
  const folder = mkdtempSync(`${tmpdir()}/naru-conmon-`);
  writeFileSync(`${folder}/pipe`, content);
  const fd = openSync(`${folder}/pipe`, "r");
  try {
    const next = lineReader(fd);
    const lines: string[] = [];
    for (let call = 0; call < calls; call += 1) lines.push(await next());
    return lines;
  } finally {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  }
};

test("an exec that was over at once: its pid and its exit code came in one piece", async () => {
  expect(await linesOf('{"data": 27257}\n{"data": 0}\n', 3)).toEqual([
    '{"data": 27257}\n',
    '{"data": 0}\n',
    "",
  ]);
});

test("a line over several reads, with letters that are cut by them, and an end without a line", async () => {
  const message = `{"data": -1, "message": "${"나루".repeat(3000)}"}`;
  expect(await linesOf(`${message}\nrest`, 3)).toEqual([`${message}\n`, "rest", ""]);
});

test("many execs that have not ended yet hold up nothing else: no thread waits for them", async () => {
  const kernel = createKernel();
  const pipes = Array.from({ length: 64 }, () => kernel.pipe());
  const lines = pipes.map(({ readFd }) => lineReader(readFd)());
  // What the runtime's threads do goes on.
  expect(await readFile("/proc/self/comm", "utf8")).toEndWith("\n");
  for (const { writeFd } of pipes) writeSync(writeFd, '{"data": 0}\n');
  expect(await Promise.all(lines)).toEqual(pipes.map(() => '{"data": 0}\n'));
  for (const { readFd, writeFd } of pipes) {
    closeSync(readFd);
    closeSync(writeFd);
  }
});
