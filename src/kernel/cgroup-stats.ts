/** Usage counters of a cgroup in one form for v1 and v2. */
import type {
  CgroupBlockEntry,
  CgroupCpuStats,
  CgroupMemoryStats,
  CgroupStats,
} from "#kernel/cgroup-kernel.ts";
import type { CgroupFiles } from "#kernel/cgroup-files.ts";

const NS_PER_US = 1000;
/** v1 writes "no limit" as the highest page-aligned 63-bit number; no machine comes near half of it. */
const UNLIMITED_BYTES = 2 ** 62;

const OPERATIONS = { Read: "read", Write: "write", Discard: "discard" } as const;

/** `8:0 Read 4096` a line, and totals that are left out. */
export const parseBlockV1 = (text: string): CgroupBlockEntry[] =>
  text.split("\n").flatMap((line) => {
    const match = /^(\d+):(\d+) (Read|Write|Discard) (\d+)$/.exec(line);
    if (match === null) return [];
    const operation = OPERATIONS[match[3] as keyof typeof OPERATIONS];
    return [
      { major: Number(match[1]), minor: Number(match[2]), operation, value: Number(match[4]) },
    ];
  });

/** `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6` a line. */
export const parseBlockV2 = (text: string, unit: "bytes" | "ios"): CgroupBlockEntry[] =>
  text.split("\n").flatMap((line) => {
    const match = /^(\d+):(\d+) /.exec(line);
    if (match === null) return [];
    const device = { major: Number(match[1]), minor: Number(match[2]) };
    return (["read", "write", "discard"] as const).flatMap((operation) => {
      const value = new RegExp(` ${operation[0] ?? ""}${unit}=(\\d+)`).exec(line)?.[1];
      return value === undefined ? [] : [{ ...device, operation, value: Number(value) }];
    });
  });

const cpuV1 = (files: CgroupFiles): CgroupCpuStats => {
  const throttling = files.readTable("cpu", "cpu.stat");
  const perCpu = files.read("cpuacct", "cpuacct.usage_percpu") ?? "";
  return {
    totalNs: files.readNumber("cpuacct", "cpuacct.usage") ?? 0,
    userNs: files.readNumber("cpuacct", "cpuacct.usage_user") ?? 0,
    systemNs: files.readNumber("cpuacct", "cpuacct.usage_sys") ?? 0,
    perCpuNs: perCpu === "" ? [] : perCpu.split(" ").map(Number),
    periods: throttling["nr_periods"] ?? 0,
    throttledPeriods: throttling["nr_throttled"] ?? 0,
    throttledNs: throttling["throttled_time"] ?? 0,
  };
};

const cpuV2 = (files: CgroupFiles): CgroupCpuStats => {
  const stat = files.readTable("cpu", "cpu.stat");
  return {
    totalNs: (stat["usage_usec"] ?? 0) * NS_PER_US,
    userNs: (stat["user_usec"] ?? 0) * NS_PER_US,
    systemNs: (stat["system_usec"] ?? 0) * NS_PER_US,
    perCpuNs: [],
    periods: stat["nr_periods"] ?? 0,
    throttledPeriods: stat["nr_throttled"] ?? 0,
    throttledNs: (stat["throttled_usec"] ?? 0) * NS_PER_US,
  };
};

const memoryV1 = (files: CgroupFiles): CgroupMemoryStats => {
  const limit = files.readNumber("memory", "memory.limit_in_bytes");
  return {
    usageBytes: files.readNumber("memory", "memory.usage_in_bytes") ?? 0,
    limitBytes: limit === undefined || limit >= UNLIMITED_BYTES ? undefined : limit,
    maxUsageBytes: files.readNumber("memory", "memory.max_usage_in_bytes"),
    failCount: files.readNumber("memory", "memory.failcnt") ?? 0,
    stat: files.readTable("memory", "memory.stat"),
  };
};

const memoryV2 = (files: CgroupFiles): CgroupMemoryStats => ({
  usageBytes: files.readNumber("memory", "memory.current") ?? 0,
  limitBytes: files.readNumber("memory", "memory.max"),
  maxUsageBytes: files.readNumber("memory", "memory.peak"),
  failCount: files.readTable("memory", "memory.events")["max"] ?? 0,
  stat: files.readTable("memory", "memory.stat"),
});

/** The scheduler's own counters when it keeps them (bfq), else those of the throttling layer. */
const blockV1 = (files: CgroupFiles, what: string): CgroupBlockEntry[] => {
  for (const layer of ["bfq", "throttle"]) {
    const text = files.read("blkio", `blkio.${layer}.${what}_recursive`);
    const entries = parseBlockV1(text ?? "");
    if (entries.length > 0) return entries;
  }
  return [];
};

const blockOf = (files: CgroupFiles): CgroupStats["blockIo"] => {
  if (!files.isV2) {
    return {
      serviceBytes: blockV1(files, "io_service_bytes"),
      serviced: blockV1(files, "io_serviced"),
    };
  }
  const text = files.read("io", "io.stat") ?? "";
  return { serviceBytes: parseBlockV2(text, "bytes"), serviced: parseBlockV2(text, "ios") };
};

export const readStats = (files: CgroupFiles): CgroupStats => ({
  cpu: files.isV2 ? cpuV2(files) : cpuV1(files),
  memory: files.isV2 ? memoryV2(files) : memoryV1(files),
  blockIo: blockOf(files),
  pids: {
    current: files.readNumber("pids", "pids.current") ?? 0,
    limit: files.readNumber("pids", "pids.max"),
  },
});

export const readOomKills = (files: CgroupFiles): number => {
  const file = files.isV2 ? "memory.events" : "memory.oom_control";
  return files.readTable("memory", file)["oom_kill"] ?? 0;
};
