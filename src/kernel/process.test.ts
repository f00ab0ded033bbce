import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createKernel } from "#kernel/real.ts";

const kernel = createKernel();
const scratch = mkdtempSync("/tmp/naru-process-");
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A process that is nobody's child here: what conmon and containers are to the engine. */
const orphan = (seconds: number): number => {
  const script = `setsid sleep ${seconds} >/dev/null 2>&1 & echo $!`;
  return Number(Bun.spawnSync(["sh", "-c", script]).stdout.toString());
};

test("waits for a process that is not a child, and at once for one that is gone", async () => {
  const pid = orphan(0.2);
  expect(kernel.kill(pid, 0)).toBe(true);
  expect(kernel.startTime(pid)).toBeGreaterThan(0n);
  const start = performance.now();
  await kernel.waitForEnd(pid);
  expect(performance.now() - start).toBeGreaterThan(100);
  // Ended means a zombie at least; its new parent collects it a moment later.
  while (kernel.kill(pid, 0)) await Bun.sleep(1);
  expect(kernel.startTime(pid)).toBeUndefined();
  await kernel.waitForEnd(pid);
});

test("many waits at once each end with their process and leave no descriptor", async () => {
  const before = readdirSync("/proc/self/fd").length;
  const pids = Array.from({ length: 20 }, () => orphan(60));
  const waits = Promise.all(pids.map((pid) => kernel.waitForEnd(pid)));
  for (const pid of pids) expect(kernel.kill(pid, 9)).toBe(true);
  await waits;
  await Bun.sleep(10);
  expect(readdirSync("/proc/self/fd").length).toBe(before);
});

test("an abort ends the wait, not the process", async () => {
  const pid = orphan(60);
  const before = readdirSync("/proc/self/fd").length;
  const abort = new AbortController();
  const wait = kernel.waitForEnd(pid, abort.signal);
  setTimeout(() => abort.abort(new Error("enough")), 20);
  expect(wait).rejects.toThrow("enough");
  await wait.catch(() => undefined);
  await Bun.sleep(10);
  expect(readdirSync("/proc/self/fd").length).toBe(before);
  expect(kernel.kill(pid, 9)).toBe(true);
  await kernel.waitForEnd(pid);
});

test("never signals everyone, and reads limits", () => {
  expect(() => kernel.kill(0, 9)).toThrow("not a process");
  expect(() => kernel.kill(-1, 9)).toThrow("not a process");
  expect(kernel.hardLimit("nofile")).toBeGreaterThan(0n);
  expect(kernel.startTime(process.pid)).toBeGreaterThan(0n);
});
