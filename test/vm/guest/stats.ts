/** GET /containers/{id}/stats: the numbers of cgroup v2 in the form clients reckon with. */
import { alone, check, between, equal, ok } from "./check.ts";
import { call, cgroupCount, cgroupFile, exec, idle, naru, SOCKET, until, up } from "./engine.ts";
import { ndjson, open } from "../../harness/http.ts";

const MIB = 2 ** 20;

interface Cpu {
  readonly cpu_usage: {
    readonly total_usage: number;
    readonly usage_in_usermode: number;
    readonly usage_in_kernelmode: number;
    readonly percpu_usage?: readonly number[];
  };
  readonly system_cpu_usage: number;
  readonly online_cpus: number;
  readonly throttling_data: { readonly periods: number; readonly throttled_periods: number };
}

interface Stats {
  readonly read: string;
  readonly preread: string;
  readonly cpu_stats: Cpu;
  readonly precpu_stats: Cpu;
  readonly memory_stats: {
    readonly usage: number;
    readonly limit: number;
    readonly max_usage?: number;
    readonly stats: Readonly<Record<string, number>>;
  };
  readonly pids_stats: { readonly current: number; readonly limit?: number };
  readonly networks: Readonly<Record<string, { rx_bytes: number; tx_bytes: number }>>;
  readonly blkio_stats: {
    readonly io_service_bytes_recursive: readonly { op: string; value: number }[] | null;
  };
}

const statsOf = async (name: string, query = "stream=0&one-shot=1"): Promise<Stats> =>
  (await call("GET", `/containers/${name}/stats?${query}`)).json<Stats>();

/** As the docker client reckons it. */
const percent = (stats: Stats): number => {
  const used = stats.cpu_stats.cpu_usage.total_usage - stats.precpu_stats.cpu_usage.total_usage;
  const all = stats.cpu_stats.system_cpu_usage - stats.precpu_stats.system_cpu_usage;
  return (used / all) * stats.cpu_stats.online_cpus * 100;
};

export const statsChecks = (): void => {
  check("stats: memory and processes are the cgroup's", async () => {
    const container = await up(
      "dd if=/dev/zero of=/dev/shm/x bs=1M count=20 2>/dev/null; sleep 60 & sleep 60 & wait",
      { Memory: 64 * MIB, PidsLimit: 30 },
    );
    const isFull = (): boolean => Number(cgroupFile(container, "memory.current")) > 20 * MIB;
    await until("20 MiB", isFull);
    await until("both sleeps", () => cgroupFile(container, "pids.current") === "3");
    const stats = await statsOf(container.name);
    const { memory_stats: memory } = stats;
    const current = Number(cgroupFile(container, "memory.current"));
    between(memory.usage, current - MIB, current + MIB, "memory usage");
    equal(memory.limit, 64 * MIB, "memory limit");
    equal(stats.pids_stats, { current: 3, limit: 30 }, "pids");
    between(memory.stats["shmem"] ?? 0, 20 * MIB, 21 * MIB, "stats.shmem");
    ok("inactive_file" in memory.stats, "stats.inactive_file, which clients subtract, is missing");
    equal(memory.max_usage, undefined, "max_usage, which v2 does not report");
    return `usage ${(memory.usage / MIB).toFixed(1)} MiB of 64`;
  });

  check("stats: without a limit the machine's memory is the limit", async () => {
    const container = await idle();
    const { MemTotal } = (await call("GET", "/info")).json<{ MemTotal: number }>();
    equal((await statsOf(container.name)).memory_stats.limit, MemTotal, "limit");
  });

  alone("stats: the processor's share, by client's arithmetic", async () => {
    const container = await up("while :; do :; done", { NanoCpus: 300_000_000 });
    const stats = await statsOf(container.name, "stream=0");
    const { cpu_stats: cpu } = stats;
    const usedNs = cpu.cpu_usage.total_usage - stats.precpu_stats.cpu_usage.total_usage;
    const share = usedNs / 1e6 / (Date.parse(stats.read) - Date.parse(stats.preread));
    between(share, 0.15, 0.4, "share of a processor between the samples");
    // The machine's own clock ticks get lost when its host is busy: no more than the order counts here.
    between(percent(stats), 10, 100, "percent of a processor");
    equal(cpu.online_cpus, 2, "online_cpus");
    equal(cpu.cpu_usage.percpu_usage, undefined, "percpu_usage, which v2 does not count");
    const parts = cpu.cpu_usage.usage_in_usermode + cpu.cpu_usage.usage_in_kernelmode;
    between(parts / cpu.cpu_usage.total_usage, 0.99, 1.01, "user and kernel over total");
    const usec = cgroupCount(container, "cpu.stat", "usage_usec");
    between(cpu.cpu_usage.total_usage / 1000 / usec, 0.5, 1, "total_usage over usage_usec");
    ok(cpu.throttling_data.throttled_periods > 0, "throttled_periods is 0");
    return `${percent(stats).toFixed(1)} % with --cpus 0.3`;
  });

  check("stats: disk and network", async () => {
    const container = await idle();
    await exec(container.name, "dd if=/dev/zero of=/big bs=1M count=8 conv=fsync; rm /big");
    await exec(container.name, "ping -c 2 -i 0.2 $(ip route | awk '/default/ {print $3}')");
    const stats = await statsOf(container.name);
    const entries = stats.blkio_stats.io_service_bytes_recursive ?? [];
    const written = entries.find(({ op }) => op.toLowerCase() === "write")?.value ?? 0;
    between(written, 8 * MIB, 16 * MIB, "bytes written");
    const eth0 = stats.networks["eth0"];
    ok((eth0?.tx_bytes ?? 0) > 150, `eth0 sent ${eth0?.tx_bytes} bytes`);
    return `${written} bytes written, ${eth0?.tx_bytes} sent`;
  });

  check("stats: the stream gives a sample a second, each with the one before", async () => {
    const container = await idle();
    const abort = new AbortController();
    const response = await open(SOCKET, "GET", `/containers/${container.name}/stats`, {
      signal: abort.signal,
    });
    const samples: Stats[] = [];
    for await (const sample of ndjson<Stats>(response as AsyncIterable<Buffer>)) {
      samples.push(sample);
      if (samples.length === 3) break;
    }
    abort.abort();
    equal(
      samples[2]?.precpu_stats.cpu_usage.total_usage,
      samples[1]?.cpu_stats.cpu_usage.total_usage,
      "precpu of the third",
    );
  });

  check("naru stats prints them", async () => {
    const container = await idle({ Memory: 64 * MIB });
    const result = await naru("stats", "--no-stream", container.name);
    equal(result.code, 0, `naru stats: ${result.stderr}`);
    ok(result.stdout.includes("/ 64MiB"), `no limit in ${result.stdout}`);
    return result.stdout.trim().split("\n").at(-1)?.replaceAll(/ {2,}/g, " ").slice(13) ?? "";
  });
};
