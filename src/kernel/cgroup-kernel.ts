/**
 * Control groups: what upper rooms are handed. Real: `cgroup.ts`. Works on v1, v2 and hybrid hosts.
 *
 * A cgroup is named by its path below the root of every hierarchy, as `linux.cgroupsPath` of the OCI
 * config says it: "/naru-ab12/<id>". Paths that do not start with "/", are "/" or hold ".." are
 * refused. A cgroup that does not exist is `not_found`. Reading costs about 10 µs per file.
 */
export type CgroupMode =
  /** Every controller in a hierarchy of its own. */
  | "v1"
  /** v1 controllers beside a v2 hierarchy, which may still own some of them. */
  | "hybrid"
  /** One hierarchy for all. */
  | "v2";

export interface CgroupCpuStats {
  readonly totalNs: number;
  readonly userNs: number;
  readonly systemNs: number;
  /** One entry a processor; empty on v2, which does not count them. */
  readonly perCpuNs: readonly number[];
  readonly periods: number;
  readonly throttledPeriods: number;
  readonly throttledNs: number;
}

export interface CgroupMemoryStats {
  readonly usageBytes: number;
  /** Undefined: no limit. */
  readonly limitBytes: number | undefined;
  /** Highest usage so far; undefined where the kernel does not keep it (v2 before 5.19). */
  readonly maxUsageBytes: number | undefined;
  /** How often usage hit the limit. */
  readonly failCount: number;
  /** `memory.stat` word for word: names and units differ between v1 and v2. */
  readonly stat: Readonly<Record<string, number>>;
}

export interface CgroupBlockEntry {
  readonly major: number;
  readonly minor: number;
  readonly operation: "read" | "write" | "discard";
  readonly value: number;
}

export interface CgroupStats {
  readonly cpu: CgroupCpuStats;
  readonly memory: CgroupMemoryStats;
  readonly blockIo: {
    readonly serviceBytes: readonly CgroupBlockEntry[];
    readonly serviced: readonly CgroupBlockEntry[];
  };
  /** `limit` undefined: no limit. */
  readonly pids: { readonly current: number; readonly limit: number | undefined };
}

/** The part of the OCI config's `linux.resources` that can change while a container runs. -1: no limit. */
export interface CgroupLimits {
  readonly cpu?: {
    readonly shares?: number;
    /** Microseconds. */
    readonly quota?: number;
    readonly period?: number;
    readonly cpus?: string;
    readonly mems?: string;
  };
  readonly memory?: {
    readonly limit?: number;
    /** Memory and swap together, in bytes. */
    readonly swap?: number;
    readonly reservation?: number;
  };
  readonly pids?: { readonly limit?: number };
  readonly blockIO?: { readonly weight?: number };
}

export interface CgroupKernel {
  readonly mode: CgroupMode;
  /** Controllers that can be used, by their kernel names. */
  readonly controllers: ReadonlySet<string>;
  /**
   * Makes the host fit for OCI runtimes. On hybrid hosts crun refuses to run while v2 owns a
   * controller: each of those is mounted as a v1 hierarchy in `/sys/fs/cgroup`, for good, and so are v1 hierarchies
   * that exist without being mounted. Returns the controllers mounted now. `failed_precondition` when no cgroup hierarchy is mounted at all.
   */
  ensureUsable(): string[];
  /** Directory by controller; on v1 and hybrid also `name=systemd` and `unified` where mounted. */
  pathsOf(cgroupPath: string): ReadonlyMap<string, string>;
  stats(cgroupPath: string): CgroupStats;
  /** Processes that the kernel killed for want of memory since the cgroup was made. */
  oomKills(cgroupPath: string): number;
  /** Yields the count of OOM kills each time it has grown. Ends with the cgroup or the signal. */
  watchOom(cgroupPath: string, signal: AbortSignal): AsyncIterableIterator<number>;
  /** Resolves when every process is frozen; `deadline_exceeded` (and thawed) after ten seconds. */
  freeze(cgroupPath: string): Promise<void>;
  thaw(cgroupPath: string): Promise<void>;
  /** Process ids in the cgroup and those below it. */
  processes(cgroupPath: string): number[];
  /** Sets limits at once; on failure those already set are put back. Absent fields stay as they are. */
  update(cgroupPath: string, limits: CgroupLimits): void;
  /**
   * A process will be moved to another cgroup within some milliseconds: it need not wait for the kernel then
   * (cgroup-moves.ts). Takes .1 ms, or nothing where it was called a moment ago. `onHurry` is called before the host's
   * switch is changed, which is put back before this returns.
   */
  expectMoves(onHurry: () => void): void;
  /**
   * Removes the cgroup and those below it from every hierarchy. Kills nothing: `conflict` when
   * processes are left after a second. What does not exist is fine.
   */
  remove(cgroupPath: string): Promise<void>;
}
