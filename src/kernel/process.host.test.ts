import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createKernel } from "#kernel/real.ts";

const kernel = createKernel();

/** A process that is nobody's child here: what conmon and containers are to the engine. */
const orphan = (seconds: number): number => {
  const script = `setsid sleep ${seconds} >/dev/null 2>&1 & echo $!`;
  return Number(Bun.spawnSync(["sh", "-c", script]).stdout.toString());
};

/** Descriptors of this process that refer to one of `pids`. */
const pidfdsOf = (pids: readonly number[]): string[] =>
  readdirSync("/proc/self/fdinfo").filter((fd) => {
    const path = `/proc/self/fdinfo/${fd}`;
    const pid = existsSync(path)
      ? /^Pid:\s+(\d+)/m.exec(readFileSync(path, "utf8"))?.[1]
      : undefined;
    return pid !== undefined && pids.includes(Number(pid));
  });

test("waits for a process that is not a child, and at once for one that is gone", async () => {
  const start = performance.now();
  const pid = orphan(3);
  expect(kernel.kill(pid, 0)).toBe(true);
  expect(kernel.startTime(pid)).toBeGreaterThan(0n);
  await kernel.waitForEnd(pid);
  // Its whole life, however long it took to get here.
  expect(performance.now() - start).toBeGreaterThan(2_900);
  // Ended means a zombie at least; its new parent collects it a moment later.
  while (kernel.kill(pid, 0)) await Bun.sleep(1);
  expect(kernel.startTime(pid)).toBeUndefined();
  await kernel.waitForEnd(pid);
});

test("many waits at once each end with their process and leave no descriptor", async () => {
  const pids = Array.from({ length: 20 }, () => orphan(60));
  const waits = Promise.all(pids.map((pid) => kernel.waitForEnd(pid)));
  expect(pidfdsOf(pids).length).toBe(40);
  for (const pid of pids) expect(kernel.kill(pid, 9)).toBe(true);
  await waits;
  expect(pidfdsOf([...pids, -1])).toEqual([]);
});

test("an abort ends the wait, not the process", async () => {
  const pid = orphan(60);
  const abort = new AbortController();
  const wait = kernel.waitForEnd(pid, abort.signal);
  setTimeout(() => abort.abort(new Error("enough")), 20);
  expect(wait).rejects.toThrow("enough");
  await wait.catch(() => undefined);
  expect(pidfdsOf([pid])).toEqual([]);
  expect(kernel.kill(pid, 9)).toBe(true);
  await kernel.waitForEnd(pid);
});

test("never signals everyone, and reads limits", () => {
  expect(() => kernel.kill(0, 9)).toThrow("not a process");
  expect(() => kernel.kill(-1, 9)).toThrow("not a process");
  expect(kernel.hardLimit("nofile")).toBeGreaterThan(0n);
  expect(kernel.startTime(process.pid)).toBeGreaterThan(0n);
});

test("raises a soft limit to the hard one", () => {
  const softLimit = (): string =>
    /Max msgqueue size\s+(\d+)/.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? "";
  Bun.spawnSync(["prlimit", "--pid", String(process.pid), "--msgqueue=1000:"]);
  expect(softLimit()).toBe("1000");
  expect(String(kernel.raiseSoftLimit("msgqueue"))).toBe(softLimit());
  expect(kernel.hardLimit("msgqueue")).toBeGreaterThan(1000n);
});

test("sets the limits of another process", async () => {
  await using child = Bun.spawn(["sleep", "60"]);
  kernel.limitProcess(child.pid, "nofile", 20n, 30n);
  kernel.limitProcess(child.pid, "core", 0n, 2n ** 64n - 1n);
  const limits = readFileSync(`/proc/${child.pid}/limits`, "utf8");
  expect(limits).toMatch(/Max open files +20 +30 /);
  expect(limits).toMatch(/Max core file size +0 +unlimited /);
  child.kill("SIGKILL");
  await child.exited;
  expect(() => kernel.limitProcess(child.pid, "nofile", 20n, 30n)).toThrow("prlimit");
});

test("the program's code is given back and goes on running", () => {
  const resident = (): number =>
    Number(/RssFile:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
  const before = resident();
  kernel.releaseCode();
  expect(resident()).toBeLessThan(before / 2);
  expect(JSON.parse(JSON.stringify({ still: "here" }))).toEqual({ still: "here" });
});
