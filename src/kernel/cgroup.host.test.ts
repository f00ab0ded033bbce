/** Against the hierarchies of this host, in a cgroup of its own. */
import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { randomHex } from "#lib/clock.ts";
import type { NaruError } from "#lib/errors.ts";
import { createCgroupKernel } from "#kernel/cgroup.ts";
import { createKernel } from "#kernel/real.ts";

const kernel = createKernel();
const cgroups = createCgroupKernel();
const parent = `/naru-test-${randomHex(4)}`;
const path = `${parent}/c`;
const hasMemory = cgroups.controllers.has("memory");
const at = (controller: string, file: string): string =>
  `${cgroups.pathsOf(path).get(controller) ?? ""}/${file}`;
const read = (controller: string, file: string): string =>
  readFileSync(at(controller, file), "utf8").trim();

/** What a runtime does when it makes the cgroup. */
const make = (cgroupPath: string): void => {
  for (const [controller, directory] of cgroups.pathsOf(cgroupPath)) {
    mkdirSync(directory, { recursive: true });
    if (controller !== "cpuset" || cgroups.mode === "v2") continue;
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      const from = readFileSync(`${directory}/../${file}`, "utf8").trim();
      writeFileSync(`${directory}/../${file}`, from === "" ? "0" : from);
      writeFileSync(`${directory}/${file}`, from === "" ? "0" : from);
    }
  }
};
const running: number[] = [];
const put = (pid: number, cgroupPath: string): void => {
  for (const directory of new Set(cgroups.pathsOf(cgroupPath).values())) {
    writeFileSync(`${directory}/cgroup.procs`, String(pid));
  }
};
/** A process in the cgroup, running the shell command after it was moved. */
const start = (command: string): number => {
  const child = Bun.spawn(["sh", "-c", `read go; ${command}`], { stdin: "pipe", stderr: "ignore" });
  put(child.pid, path);
  void child.stdin.write("go\n");
  void child.stdin.end();
  running.push(child.pid);
  return child.pid;
};

beforeEach(() => make(path));
afterEach(async () => {
  const pids = running.splice(0);
  for (const pid of pids) kernel.kill(pid, 9);
  await Promise.all(pids.map((pid) => kernel.waitForEnd(pid)));
  await cgroups.remove(parent);
});
afterAll(() => {
  for (const directory of cgroups.pathsOf(parent).values())
    expect(existsSync(directory)).toBe(false);
});

test("the host's mode and controllers are known, and usable", () => {
  expect(["v1", "hybrid", "v2"]).toContain(cgroups.mode);
  expect(cgroups.controllers.has("pids")).toBe(true);
  // Whether something was mounted depends on who ran before; a second time nothing is.
  cgroups.ensureUsable();
  expect(cgroups.ensureUsable()).toEqual([]);
});

test("stats count processor time, memory and processes", async () => {
  const pid = start("i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; exec sleep 60");
  while (!readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("sleep")) await Bun.sleep(5);
  const stats = cgroups.stats(path);
  expect(stats.cpu.totalNs).toBeGreaterThan(1_000_000);
  expect(stats.cpu.userNs + stats.cpu.systemNs).toBeGreaterThan(1_000_000);
  expect(stats.pids).toEqual({ current: 1, limit: undefined });
  expect(stats.memory.usageBytes).toBeGreaterThan(10_000);
  expect(stats.memory.limitBytes).toBeUndefined();
  expect(Object.keys(stats.memory.stat)).toContain("pgfault");
  expect(cgroups.processes(path)).toEqual([pid]);
  expect(cgroups.processes(parent)).toEqual([pid]);
});

test("freezing stops every process, thawing lets it go on", async () => {
  const pid = start("while :; do :; done");
  const used = (): number => cgroups.stats(path).cpu.totalNs;
  await cgroups.freeze(path);
  const [first] = [used(), await Bun.sleep(60)];
  expect(used() - first).toBeLessThan(5_000_000);
  await cgroups.thaw(path);
  while (used() - first < 10_000_000) await Bun.sleep(5);
  expect(kernel.kill(pid, 0)).toBe(true);
});

describe("update", () => {
  test.skipIf(cgroups.mode === "v2")("sets every limit of v1", () => {
    cgroups.update(path, {
      cpu: { shares: 512, period: 50_000, quota: 25_000, cpus: "0" },
      memory: { limit: 64 << 20, swap: 128 << 20, reservation: 32 << 20 },
      pids: { limit: 17 },
      blockIO: { weight: 300 },
    });
    expect(read("cpu", "cpu.shares")).toBe("512");
    expect(read("cpu", "cpu.cfs_quota_us")).toBe("25000");
    expect(read("cpuset", "cpuset.cpus")).toBe("0");
    expect(read("memory", "memory.memsw.limit_in_bytes")).toBe(String(128 << 20));
    expect(read("memory", "memory.soft_limit_in_bytes")).toBe(String(32 << 20));
    expect(cgroups.stats(path).memory.limitBytes).toBe(64 << 20);
    expect(cgroups.stats(path).pids.limit).toBe(17);
    // Both up, both down, to no limit: the order differs each time.
    cgroups.update(path, { memory: { limit: 256 << 20, swap: 512 << 20 } });
    cgroups.update(path, { memory: { limit: 32 << 20, swap: 32 << 20 } });
    cgroups.update(path, { memory: { limit: -1, swap: -1 }, pids: { limit: -1 } });
    expect(cgroups.stats(path).memory.limitBytes).toBeUndefined();
    expect(cgroups.stats(path).pids.limit).toBeUndefined();
  });

  test.skipIf(cgroups.mode === "v2")("a refused value puts back what was set before it", () => {
    const shares = read("cpu", "cpu.shares");
    const limit = read("memory", "memory.limit_in_bytes");
    const attempt = (): void =>
      cgroups.update(path, {
        cpu: { shares: 77, cpus: "0" },
        memory: { limit: 32 << 20 },
        pids: { limit: 2 ** 40 },
      });
    expect(attempt).toThrow("write failed for");
    expect(read("cpu", "cpu.shares")).toBe(shares);
    expect(read("memory", "memory.limit_in_bytes")).toBe(limit);
    cgroups.update(path, { memory: { limit: 32 << 20, swap: 32 << 20 } });
    expect(() => cgroups.update(path, { memory: { limit: 64 << 20 } })).toThrow("for both at once");
  });
});

test.skipIf(!hasMemory)("an OOM kill is counted and told", async () => {
  cgroups.update(path, { memory: { limit: 8 << 20, swap: 8 << 20 } });
  expect(cgroups.oomKills(path)).toBe(0);
  const abort = new AbortController();
  const news = cgroups.watchOom(path, abort.signal);
  const first = news.next();
  const pid = start("tail /dev/zero");
  expect((await first).value).toBeGreaterThan(0);
  await kernel.waitForEnd(pid).catch(() => undefined);
  expect(cgroups.oomKills(path)).toBeGreaterThan(0);
  const second = news.next();
  abort.abort();
  expect((await second).done).toBe(true);
});

test.skipIf(!hasMemory)("watching ends with the cgroup", async () => {
  const end = cgroups.watchOom(path, new AbortController().signal).next();
  await Bun.sleep(5);
  await cgroups.remove(path);
  expect((await end).done).toBe(true);
});

test("removal takes nested cgroups along, waits for nobody alive, and is fine with nothing", async () => {
  make(`${path}/deep/deeper`);
  const pid = start("exec sleep 60");
  const error = await cgroups.remove(path).then(
    () => undefined,
    (thrown: unknown) => thrown as NaruError,
  );
  expect(error?.code).toBe("conflict");
  expect(error?.message).toContain(String(pid));
  kernel.kill(pid, 9);
  await cgroups.remove(path);
  await cgroups.remove(path);
  for (const directory of cgroups.pathsOf(path).values()) expect(existsSync(directory)).toBe(false);
});

test("paths that could reach others are refused, absent cgroups named", () => {
  for (const wrong of ["", "/", "x", "/a/../b", "/a//b", "/a/"]) {
    expect(() => cgroups.stats(wrong)).toThrow("not an absolute cgroup path");
  }
  expect(() => cgroups.stats(`${parent}/none`)).toThrow("does not exist");
  expect(() => cgroups.oomKills(`${parent}/none`)).toThrow("does not exist");
});
