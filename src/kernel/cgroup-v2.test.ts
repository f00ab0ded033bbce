/** The reading and planning parts on texts and folders: v2 as well, whatever this host has. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { randomHex } from "#lib/clock.ts";
import {
  layoutOf,
  mountController,
  parseControllers,
  unmountedHierarchies,
} from "#kernel/cgroup-layout.ts";
import { parseBlockV1 } from "#kernel/cgroup-stats.ts";
import { ioWeightOf, planV1, planV2, weightOfShares } from "#kernel/cgroup-update.ts";
import { createCgroupKernel } from "#kernel/cgroup.ts";
import { parseMountInfo, readMountInfo } from "#kernel/mount.ts";
import { createKernelRecorder } from "#kernel/recorder.fake.ts";

const PROC =
  "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t1\t1\t1\nmemory\t2\t1\t1\nhugetlb\t0\t1\t1\nrdma\t0\t1\t0\n";
const V1 = [
  "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu",
  "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
  "36 31 0:32 / /extra rw - cgroup cgroup rw,memory",
  "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd",
].join("\n");
const unified = (point: string): string => `\n41 31 0:38 / ${point} rw - cgroup2 cgroup2 rw`;

describe("layout", () => {
  const layout = (mounts: string, owned = "") =>
    layoutOf(parseMountInfo(mounts), PROC, () => `${owned}\n`);

  test("v1, hybrid and v2 are told apart", () => {
    expect(layout(V1)?.mode).toBe("v1");
    const hybrid = layout(V1 + unified("/sys/fs/cgroup/unified"), "hugetlb");
    expect(hybrid?.mode).toBe("hybrid");
    expect(Object.fromEntries(hybrid!.mountPoints)).toEqual({
      cpu: "/sys/fs/cgroup/cpu",
      memory: "/sys/fs/cgroup/memory",
      "name=systemd": "/sys/fs/cgroup/systemd",
      unified: "/sys/fs/cgroup/unified",
    });
    const v2 = layout(unified("/sys/fs/cgroup").trim(), "cpu memory pids");
    expect(v2?.mode).toBe("v2");
    expect([...v2!.mountPoints.keys()]).toEqual(["cpu", "memory", "pids", "unified"]);
    expect(layout("")).toBeUndefined();
  });

  test("disabled controllers do not count", () => {
    expect([...parseControllers(PROC)]).toEqual([
      ["cpu", 1],
      ["memory", 2],
      ["hugetlb", 0],
    ]);
  });

  test("hierarchies of v1 that nobody mounted here are found, with all their controllers", () => {
    const proc = `${PROC.replace("hugetlb\t0", "hugetlb\t7")}net_cls\t9\t1\t1\nnet_prio\t9\t1\t1\n`;
    expect(unmountedHierarchies(layout(V1)!, PROC)).toEqual([]);
    expect(unmountedHierarchies(layout(V1)!, proc)).toEqual(["hugetlb", "net_cls,net_prio"]);
    expect(unmountedHierarchies(layout(unified("/sys/fs/cgroup").trim())!, proc)).toEqual([]);
  });

  test("a leftover controller is mounted beside the others, or the failure explained", () => {
    const root = mkdtempSync("/tmp/naru-cgroup-");
    const kernel = createKernelRecorder();
    expect(mountController("hugetlb", root, kernel)).toBe(`${root}/hugetlb`);
    expect(kernel.calls).toEqual([
      `mount cgroup ${root}/hugetlb cgroup nosuid,nodev,noexec hugetlb`,
    ]);
    kernel.failNext("mount", new Error("EBUSY"));
    expect(() => mountController("hugetlb", root, kernel)).toThrow("use the runtime runc");
    rmSync(root, { recursive: true });
  });
});

describe("on v2", () => {
  let root = "";
  const write = (file: string, text: string): void => writeFileSync(`${root}/c/${file}`, text);
  const read = (file: string): string => readFileSync(`${root}/c/${file}`, "utf8");
  const kernel = () =>
    createCgroupKernel({
      mode: "v2",
      mountPoints: new Map(["cpu", "memory", "io", "pids", "unified"].map((name) => [name, root])),
    });
  beforeAll(() => {
    root = mkdtempSync("/tmp/naru-cgroup2-");
    mkdirSync(`${root}/c`);
    write(
      "cpu.stat",
      "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 9\nnr_throttled 4\nthrottled_usec 7\n",
    );
    write("memory.current", "4096\n");
    write("memory.max", "max\n");
    write("memory.peak", "8192\n");
    write("memory.events", "low 0\nhigh 0\nmax 6\noom 2\noom_kill 1\noom_group_kill 0\n");
    write("memory.stat", "anon 100\nfile 200\n");
    write(
      "io.stat",
      "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n253:1 rbytes=5 wbytes=0 rios=1 wios=0 dbytes=9 dios=3\n",
    );
    write("pids.current", "3\n");
    write("pids.max", "100\n");
    write("cgroup.procs", "11\n12\n");
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  test("stats come in the same form", () => {
    expect(kernel().stats("/c")).toMatchObject({
      cpu: {
        totalNs: 5000,
        userNs: 3000,
        systemNs: 2000,
        perCpuNs: [],
        periods: 9,
        throttledPeriods: 4,
        throttledNs: 7000,
      },
      memory: {
        usageBytes: 4096,
        limitBytes: undefined,
        maxUsageBytes: 8192,
        failCount: 6,
        stat: { anon: 100, file: 200 },
      },
      pids: { current: 3, limit: 100 },
    });
    expect(kernel().stats("/c").blockIo.serviceBytes).toContainEqual({
      major: 253,
      minor: 1,
      operation: "discard",
      value: 9,
    });
    expect(kernel().stats("/c").blockIo.serviced).toHaveLength(6);
    expect(kernel().oomKills("/c")).toBe(1);
    expect(kernel().processes("/c")).toEqual([11, 12]);
  });

  test("limits are written in v2's words, swap apart from memory", () => {
    for (const file of ["cpu.weight", "cpu.max", "memory.swap.max", "memory.low", "io.bfq.weight"])
      write(file, "");
    write("cpu.max", "max 50000");
    kernel().update("/c", {
      cpu: { shares: 1024, quota: 20_000 },
      memory: { limit: 1000, swap: 1500, reservation: 500 },
      pids: { limit: 0 },
      blockIO: { weight: 500 },
    });
    expect(read("cpu.weight")).toStartWith("100");
    expect(read("cpu.max")).toStartWith("20000 50000");
    expect(read("memory.swap.max")).toStartWith("500");
    expect(read("memory.max")).toStartWith("1000");
    expect(read("pids.max")).toStartWith("max");
    expect(read("io.bfq.weight")).toStartWith("default 4950");
    expect(() => kernel().update("/c", { cpu: { cpus: "0" } })).toThrow(
      'no cgroup file "cpuset.cpus"',
    );
  });

  test("freezing is written to cgroup.freeze and waits for cgroup.events", async () => {
    write("cgroup.freeze", "0");
    write("cgroup.events", "populated 1\nfrozen 0\n");
    const frozen = kernel().freeze("/c");
    expect(read("cgroup.freeze")).toBe("1");
    write("cgroup.events", "populated 1\nfrozen 1\n");
    await frozen;
  });

  test("OOM kills are seen when memory.events changes", async () => {
    const abort = new AbortController();
    const next = kernel().watchOom("/c", abort.signal).next();
    write("memory.events", "oom_kill 2\n");
    expect((await next).value).toBe(2);
    abort.abort();
  });
});

const v2Mount = readMountInfo().find((mount) => mount.type === "cgroup2")?.mountPoint;

test.skipIf(v2Mount === undefined)(
  "a real v2 cgroup is frozen, thawed, listed and removed",
  async () => {
    const kernel = createCgroupKernel({
      mode: "v2",
      mountPoints: new Map([["unified", v2Mount!]]),
    });
    const path = `/naru-test-${randomHex(4)}`;
    mkdirSync(`${v2Mount!}${path}/inner`, { recursive: true });
    const child = Bun.spawn(["sleep", "60"]);
    try {
      writeFileSync(`${v2Mount!}${path}/inner/cgroup.procs`, String(child.pid));
      expect(kernel.processes(path)).toEqual([child.pid]);
      await kernel.freeze(path);
      expect(readFileSync(`${v2Mount!}${path}/cgroup.events`, "utf8")).toContain("frozen 1");
      await kernel.thaw(path);
      expect(readFileSync(`${v2Mount!}${path}/cgroup.events`, "utf8")).toContain("frozen 0");
      expect(kernel.stats(path).cpu.totalNs).toBeGreaterThan(0);
    } finally {
      child.kill(9);
      await child.exited;
      await kernel.remove(path);
    }
  },
);

describe("plans", () => {
  const current = { memoryBytes: 100, memorySwapBytes: 200, cpuMax: "max 100000" };
  const files = (writes: readonly { file: string }[]): string[] =>
    writes.map((write) => write.file);

  test.each([
    [
      "raising both",
      { limit: 300, swap: 400 },
      ["memory.memsw.limit_in_bytes", "memory.limit_in_bytes"],
    ],
    [
      "lowering both",
      { limit: 50, swap: 60 },
      ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"],
    ],
    [
      "raising within",
      { limit: 150, swap: 180 },
      ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"],
    ],
    [
      "freeing both",
      { limit: -1, swap: -1 },
      ["memory.memsw.limit_in_bytes", "memory.limit_in_bytes"],
    ],
  ])("v1 memory: %s", (_, memory, order) => {
    expect(files(planV1({ memory }, current))).toEqual(order);
  });

  test("nothing given, nothing written; what contradicts itself is refused", () => {
    expect(planV1({}, current)).toEqual([]);
    expect(planV2({}, current)).toEqual([]);
    expect(() => planV2({ memory: { limit: 10, swap: 5 } }, current)).toThrow(
      "below the memory limit",
    );
  });

  test("weights meet at the defaults and ends", () => {
    expect([2, 1024, 262_144].map(weightOfShares)).toEqual([1, 100, 10_000]);
    expect([10, 500, 1000].map(ioWeightOf)).toEqual([1, 4950, 10_000]);
  });
});

test("v1 block counters leave totals out", () => {
  expect(parseBlockV1("8:0 Read 5\n8:0 Write 6\n8:0 Sync 11\n8:0 Total 11\nTotal 11\n")).toEqual([
    { major: 8, minor: 0, operation: "read", value: 5 },
    { major: 8, minor: 0, operation: "write", value: 6 },
  ]);
});
