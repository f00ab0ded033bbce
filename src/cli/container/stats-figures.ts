/** The figures of `stats` out of two readings of the counters. */
import type { CpuStats, StatsResponse } from "#client/system-types.ts";

export interface Figures {
  readonly name: string;
  readonly id: string;
  readonly cpuPercent: number;
  readonly memoryBytes: number;
  readonly memoryLimitBytes: number;
  readonly memoryPercent: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly pids: number;
}

const cpuPercent = (previous: CpuStats, current: CpuStats): number => {
  const used = (current.cpu_usage?.total_usage ?? 0) - (previous.cpu_usage?.total_usage ?? 0);
  const system = (current.system_cpu_usage ?? 0) - (previous.system_cpu_usage ?? 0);
  const cpus = current.online_cpus || (current.cpu_usage?.percpu_usage ?? []).length;
  return system > 0 && used > 0 ? (used / system) * cpus * 100 : 0;
};

/** The page cache that can go at any time does not count: cgroup v1 and v2 name it differently. */
const memoryUsed = (stats: StatsResponse): number => {
  const usage = stats.memory_stats?.usage ?? 0;
  const counters = stats.memory_stats?.stats ?? {};
  const cache = counters["total_inactive_file"] ?? counters["inactive_file"] ?? 0;
  return cache < usage ? usage - cache : usage;
};

export const figuresOf = (stats: StatsResponse): Figures => {
  const memory = memoryUsed(stats);
  const limit = stats.memory_stats?.limit ?? 0;
  const networks = Object.values(stats.networks ?? {});
  const blocks = stats.blkio_stats?.io_service_bytes_recursive ?? [];
  const blockBytes = (letter: string): number =>
    blocks
      .filter((entry) => entry.op.toLowerCase().startsWith(letter))
      .reduce((total, entry) => total + entry.value, 0);
  return {
    name: (stats.name ?? "").replace(/^\//, ""),
    id: stats.id ?? "",
    cpuPercent: cpuPercent(stats.precpu_stats, stats.cpu_stats),
    memoryBytes: memory,
    memoryLimitBytes: limit,
    memoryPercent: limit > 0 ? (memory / limit) * 100 : 0,
    receivedBytes: networks.reduce((total, network) => total + network.rx_bytes, 0),
    sentBytes: networks.reduce((total, network) => total + network.tx_bytes, 0),
    readBytes: blockBytes("r"),
    writtenBytes: blockBytes("w"),
    pids: stats.pids_stats?.current ?? 0,
  };
};
