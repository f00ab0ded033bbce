/** GET /containers/{id}/stats: one sample in Docker's shape, from cgroup and /proc/PID/net/dev. */
import { existsSync, readFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { now } from "#lib/clock.ts";
import { type ContainerRecord, isLive } from "#container/container.ts";
import type { StatsSample } from "#container/containers.ts";
import type { Engine } from "#container/engine.ts";
import { parseNetworkMode } from "#container/network-mode.ts";
import type { CgroupBlockEntry, CgroupStats } from "#kernel/cgroup-kernel.ts";

/** Kernel ticks per second as /proc/stat counts (USER_HZ, 100 on every Linux). */
const TICK_NS = 10_000_000;

/** All CPU time of the host since boot, idle included, in nanoseconds (proc(5), /proc/stat). */
const systemCpuNs = (): number => {
  const line = readFileSync("/proc/stat", "utf8").split("\n")[0] ?? "";
  const fields = line.split(/\s+/).slice(1, 9).map(Number);
  return fields.reduce((sum, value) => sum + value, 0) * TICK_NS;
};

interface InterfaceCounters {
  readonly rx_bytes: number;
  readonly rx_packets: number;
  readonly rx_errors: number;
  readonly rx_dropped: number;
  readonly tx_bytes: number;
  readonly tx_packets: number;
  readonly tx_errors: number;
  readonly tx_dropped: number;
}

/** proc(5), /proc/net/dev, without the loopback. */
export const parseNetDev = (text: string): Record<string, InterfaceCounters> => {
  const interfaces: Record<string, InterfaceCounters> = {};
  for (const line of text.split("\n").slice(2)) {
    const [name = "", rest = ""] = line.split(":").map((part) => part.trim());
    if (name === "" || name === "lo") continue;
    const f = rest.split(/\s+/).map(Number);
    interfaces[name] = {
      rx_bytes: f[0] ?? 0,
      rx_packets: f[1] ?? 0,
      rx_errors: f[2] ?? 0,
      rx_dropped: f[3] ?? 0,
      tx_bytes: f[8] ?? 0,
      tx_packets: f[9] ?? 0,
      tx_errors: f[10] ?? 0,
      tx_dropped: f[11] ?? 0,
    };
  }
  return interfaces;
};

const blockEntries = (entries: readonly CgroupBlockEntry[]) =>
  entries.map(({ major, minor, operation, value }) => ({ major, minor, op: operation, value }));

const bodyOf = (stats: CgroupStats, isCgroupV2: boolean) => ({
  cpu_stats: {
    cpu_usage: {
      total_usage: stats.cpu.totalNs,
      ...(stats.cpu.perCpuNs.length > 0 ? { percpu_usage: stats.cpu.perCpuNs } : {}),
      usage_in_kernelmode: stats.cpu.systemNs,
      usage_in_usermode: stats.cpu.userNs,
    },
    system_cpu_usage: systemCpuNs(),
    online_cpus: cpus().length,
    throttling_data: {
      periods: stats.cpu.periods,
      throttled_periods: stats.cpu.throttledPeriods,
      throttled_time: stats.cpu.throttledNs,
    },
  },
  memory_stats: {
    usage: stats.memory.usageBytes,
    ...(stats.memory.maxUsageBytes === undefined || isCgroupV2
      ? {}
      : { max_usage: stats.memory.maxUsageBytes }),
    ...(isCgroupV2 ? {} : { failcnt: stats.memory.failCount }),
    stats: stats.memory.stat,
    limit: stats.memory.limitBytes ?? totalmem(),
  },
  blkio_stats: {
    io_service_bytes_recursive: blockEntries(stats.blockIo.serviceBytes),
    io_serviced_recursive: blockEntries(stats.blockIo.serviced),
    io_queue_recursive: null,
    io_service_time_recursive: null,
    io_wait_time_recursive: null,
    io_merged_recursive: null,
    io_time_recursive: null,
    sectors_recursive: null,
  },
  pids_stats: {
    current: stats.pids.current,
    ...(stats.pids.limit === undefined ? {} : { limit: stats.pids.limit }),
  },
});

const EMPTY = {
  cpu_stats: {
    cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
    throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
  },
  memory_stats: {},
  blkio_stats: {
    io_service_bytes_recursive: null,
    io_serviced_recursive: null,
    io_queue_recursive: null,
    io_service_time_recursive: null,
    io_wait_time_recursive: null,
    io_merged_recursive: null,
    io_time_recursive: null,
    sectors_recursive: null,
  },
  pids_stats: {},
};

const networksOf = (record: ContainerRecord): object => {
  if (!isLive(record.state)) return {};
  const mode = parseNetworkMode(record.hostConfig.NetworkMode).kind;
  if (mode === "host" || record.sandbox?.mode === "none") return {};
  return {
    networks: parseNetDev(readFileSync(`/proc/${record.state.process.pid}/net/dev`, "utf8")),
  };
};

export const statsOf = (engine: Engine, id: string): StatsSample => {
  const record = engine.current(id);
  const head = { id, name: `/${record.name}`, read: now(), num_procs: 0, storage_stats: {} };
  if (!isLive(record.state)) return { ...head, ...EMPTY };
  try {
    const stats = engine.deps.cgroups.stats(engine.cgroupOf(record));
    return { ...head, ...bodyOf(stats, engine.deps.facts.isCgroupV2), ...networksOf(record) };
  } catch (error) {
    // It ended meanwhile, whatever its record says yet.
    if (existsSync(`/proc/${record.state.process.pid}/ns/net`)) throw error;
    return { ...head, ...EMPTY };
  }
};
