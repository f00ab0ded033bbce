/** Changing limits of a living cgroup: a plan of writes, in an order the kernel accepts, then the writes. */
import { NaruError } from "#lib/errors.ts";
import type { CgroupLimits } from "#kernel/cgroup-kernel.ts";
import type { CgroupFiles } from "#kernel/cgroup-files.ts";

export interface CgroupWrite {
  readonly controller: string;
  readonly file: string;
  readonly value: string;
}

/** What the kernel has now, as far as the order of writes depends on it. Infinity: no limit. */
export interface CurrentLimits {
  readonly memoryBytes: number;
  /** Memory and swap together (v1). */
  readonly memorySwapBytes: number;
  /** "max 100000" (v2). */
  readonly cpuMax: string;
}

type Plan = (limits: CgroupLimits, current: CurrentLimits) => CgroupWrite[];

const amount = (value: number): number => (value < 0 ? Number.POSITIVE_INFINITY : value);

const entry = (
  controller: string,
  file: string,
  value: number | string | undefined,
): CgroupWrite[] => (value === undefined ? [] : [{ controller, file, value: `${value}` }]);

/**
 * v1 demands memory <= memory+swap at every moment. Raising memory above the present sum therefore
 * writes the sum first, anything else memory first.
 */
const memoryV1: Plan = ({ memory = {} }, current) => {
  const limit = entry("memory", "memory.limit_in_bytes", memory.limit);
  const swap = entry("memory", "memory.memsw.limit_in_bytes", memory.swap);
  const isRaised = memory.limit !== undefined && amount(memory.limit) > current.memorySwapBytes;
  if (isRaised && memory.swap === undefined) {
    throw new NaruError(
      "invalid_argument",
      `the memory limit of ${memory.limit} bytes is above the present limit of memory and swap together (${current.memorySwapBytes} bytes): give a new one for both at once`,
    );
  }
  return [
    ...(isRaised ? [...swap, ...limit] : [...limit, ...swap]),
    ...entry("memory", "memory.soft_limit_in_bytes", memory.reservation),
  ];
};

const pidsWrites: Plan = ({ pids }) => {
  if (pids?.limit === undefined) return [];
  return entry("pids", "pids.max", pids.limit > 0 ? pids.limit : "max");
};

export const planV1: Plan = (limits, current) => [
  ...entry("cpuset", "cpuset.mems", limits.cpu?.mems),
  ...entry("cpuset", "cpuset.cpus", limits.cpu?.cpus),
  ...entry("cpu", "cpu.shares", limits.cpu?.shares),
  ...entry("cpu", "cpu.cfs_period_us", limits.cpu?.period),
  ...entry("cpu", "cpu.cfs_quota_us", limits.cpu?.quota),
  ...memoryV1(limits, current),
  ...pidsWrites(limits, current),
  ...entry("blkio", "blkio.weight", limits.blockIO?.weight),
];

/**
 * Shares (2 to 262,144, by default 1,024) as a weight (1 to 10,000, by default 100): the curve that
 * OCI runtimes agreed on, on which the two defaults meet.
 */
export const weightOfShares = (shares: number): number => {
  const exponent = Math.log2(Math.min(Math.max(shares, 2), 262_144));
  return Math.ceil(10 ** ((exponent * exponent + 125 * exponent) / 612 - 7 / 34));
};

/** 10 to 1,000 becomes 1 to 10,000, linearly: the OCI runtimes' conversion. */
export const ioWeightOf = (weight: number): number =>
  Math.floor(1 + ((Math.min(Math.max(weight, 10), 1000) - 10) * 9999) / 990);

const limitText = (value: number | undefined): string | undefined =>
  value === undefined || value >= 0 ? value?.toString() : "max";

const cpuMaxV2 = ({ cpu = {} }: CgroupLimits, current: string): string | undefined => {
  if (cpu.quota === undefined && cpu.period === undefined) return undefined;
  const [quota = "max", period = "100000"] = current.split(" ");
  const newQuota = cpu.quota === undefined ? quota : cpu.quota > 0 ? `${cpu.quota}` : "max";
  return `${newQuota} ${cpu.period ?? period}`;
};

/** v2 counts swap by itself: what OCI calls swap is the sum of both. */
const swapV2 = (
  memory: NonNullable<CgroupLimits["memory"]>,
  presentBytes: number,
): string | undefined => {
  if (memory.swap === undefined) return undefined;
  if (memory.swap < 0) return "max";
  const memoryBytes = memory.limit === undefined ? presentBytes : amount(memory.limit);
  if (memoryBytes <= memory.swap) return `${memory.swap - memoryBytes}`;
  throw new NaruError(
    "invalid_argument",
    `the limit of memory and swap together (${memory.swap} bytes) is below the memory limit (${memoryBytes} bytes)`,
  );
};

export const planV2: Plan = (limits, current) => {
  const { cpu = {}, memory = {}, blockIO = {} } = limits;
  const weight = cpu.shares === undefined ? undefined : weightOfShares(cpu.shares);
  const ioWeight = blockIO.weight === undefined ? undefined : ioWeightOf(blockIO.weight);
  return [
    ...entry("cpuset", "cpuset.mems", cpu.mems),
    ...entry("cpuset", "cpuset.cpus", cpu.cpus),
    ...entry("cpu", "cpu.weight", weight),
    ...entry("cpu", "cpu.max", cpuMaxV2(limits, current.cpuMax)),
    ...entry("memory", "memory.swap.max", swapV2(memory, current.memoryBytes)),
    ...entry("memory", "memory.max", limitText(memory.limit)),
    ...entry("memory", "memory.low", limitText(memory.reservation)),
    ...pidsWrites(limits, current),
    ...entry("io", "io.weight", ioWeight === undefined ? undefined : `default ${ioWeight}`),
  ];
};

const currentLimits = (files: CgroupFiles): CurrentLimits => {
  const bytes = (file: string): number =>
    files.readNumber("memory", file) ?? Number.POSITIVE_INFINITY;
  return {
    memoryBytes: bytes(files.isV2 ? "memory.max" : "memory.limit_in_bytes"),
    memorySwapBytes: bytes("memory.memsw.limit_in_bytes"),
    cpuMax: files.read("cpu", "cpu.max") ?? "max 100000",
  };
};

/** The block scheduler bfq keeps its weights in a file of its own name. */
const withBfq = (files: CgroupFiles, write: CgroupWrite): CgroupWrite => {
  const plain = { "blkio.weight": "blkio.bfq.weight", "io.weight": "io.bfq.weight" }[write.file];
  const isThere = files.read(write.controller, write.file) !== undefined;
  return plain === undefined || isThere ? write : { ...write, file: plain };
};

/** On failure the values already written are put back, last first. */
export const applyWrites = (files: CgroupFiles, writes: readonly CgroupWrite[]): void => {
  const done: CgroupWrite[] = [];
  try {
    for (const write of writes) {
      const actual = withBfq(files, write);
      const before = files.read(actual.controller, actual.file);
      files.write(actual.controller, actual.file, actual.value);
      if (before !== undefined) done.push({ ...actual, value: before });
    }
  } catch (error) {
    for (const { controller, file, value } of done.toReversed()) {
      files.write(controller, file, value);
    }
    throw error;
  }
};

export const updateLimits = (files: CgroupFiles, limits: CgroupLimits): void => {
  const plan = files.isV2 ? planV2 : planV1;
  applyWrites(files, plan(limits, currentLimits(files)));
};
