/** The `linux.resources` of config.json from a HostConfig's limits (cgroups by the OCI runtime). */
import type { CgroupLimits } from "#kernel/cgroup-kernel.ts";
import { weightOfShares } from "#kernel/cgroup-update.ts";
import type { HostConfig, Resources, ThrottleDevice } from "#spec/docker/host-config.ts";
import type { RuntimeDeviceRule, RuntimeResources, RuntimeThrottle } from "#spec/runtime/config.ts";

const CPU_PERIOD_US = 100_000;

/** Answers the device number of a host path; throws not_found for what is no device. */
export type DeviceNumberOf = (path: string) => { major: number; minor: number };

/** Devices every container may use; "m" lets mknod make nodes without letting them be opened. */
const DEFAULT_RULES: readonly RuntimeDeviceRule[] = [
  { allow: false, access: "rwm" },
  { allow: true, type: "c", access: "m" },
  { allow: true, type: "b", access: "m" },
  ...(
    [
      [1, 3], // null
      [1, 5], // zero
      [1, 7], // full
      [1, 8], // random
      [1, 9], // urandom
      [5, 0], // tty
      [5, 1], // console
      [5, 2], // ptmx
    ] as const
  ).map(([major, minor]): RuntimeDeviceRule => ({
    allow: true,
    type: "c",
    major,
    minor,
    access: "rwm",
  })),
  { allow: true, type: "c", major: 136, access: "rwm" }, // pts
];

/** "c 1:3 rwm" or "b *:* r" (HostConfig.DeviceCgroupRules). The format was checked at create. */
export const parseDeviceRule = (text: string): RuntimeDeviceRule | undefined => {
  const match = /^([acb]) (\d+|\*):(\d+|\*) ([rwm]{1,3})$/.exec(text);
  if (match === null) return undefined;
  const [, type, major, minor, access] = match;
  const rule: RuntimeDeviceRule = {
    allow: true,
    type: type as "a" | "c" | "b",
    access: access ?? "",
  };
  if (major !== "*") rule.major = Number(major);
  if (minor !== "*") rule.minor = Number(minor);
  return rule;
};

const cpuOf = (resources: Resources): RuntimeResources["cpu"] => {
  const cpu: NonNullable<RuntimeResources["cpu"]> = {};
  if (resources.CpuShares > 0) cpu.shares = resources.CpuShares;
  if (resources.NanoCpus > 0) {
    cpu.period = CPU_PERIOD_US;
    cpu.quota = Math.round((resources.NanoCpus * CPU_PERIOD_US) / 1e9);
  }
  if (resources.CpuPeriod > 0) cpu.period = resources.CpuPeriod;
  if (resources.CpuQuota !== 0) cpu.quota = resources.CpuQuota;
  if (resources.CpuRealtimePeriod > 0) cpu.realtimePeriod = resources.CpuRealtimePeriod;
  if (resources.CpuRealtimeRuntime > 0) cpu.realtimeRuntime = resources.CpuRealtimeRuntime;
  if (resources.CpusetCpus !== "") cpu.cpus = resources.CpusetCpus;
  if (resources.CpusetMems !== "") cpu.mems = resources.CpusetMems;
  return Object.keys(cpu).length > 0 ? cpu : undefined;
};

const memoryOf = (resources: Resources): RuntimeResources["memory"] => {
  const memory: NonNullable<RuntimeResources["memory"]> = {};
  if (resources.Memory > 0) memory.limit = resources.Memory;
  if (resources.MemoryReservation > 0) memory.reservation = resources.MemoryReservation;
  if (resources.MemorySwap !== 0) memory.swap = resources.MemorySwap;
  if (resources.MemorySwappiness !== null && resources.MemorySwappiness >= 0) {
    memory.swappiness = resources.MemorySwappiness;
  }
  if (resources.OomKillDisable === true) memory.disableOOMKiller = true;
  return Object.keys(memory).length > 0 ? memory : undefined;
};

const blockIoOf = (resources: Resources, numberOf: DeviceNumberOf): RuntimeResources["blockIO"] => {
  const throttles = (devices: ThrottleDevice[] | null): RuntimeThrottle[] | undefined =>
    devices === null || devices.length === 0
      ? undefined
      : devices.map((device) => ({ ...numberOf(device.Path), rate: device.Rate }));
  const weights = (resources.BlkioWeightDevice ?? []).map((device) => ({
    ...numberOf(device.Path),
    weight: device.Weight,
  }));
  const entries = {
    weight: resources.BlkioWeight > 0 ? resources.BlkioWeight : undefined,
    weightDevice: weights.length > 0 ? weights : undefined,
    throttleReadBpsDevice: throttles(resources.BlkioDeviceReadBps),
    throttleWriteBpsDevice: throttles(resources.BlkioDeviceWriteBps),
    throttleReadIOPSDevice: throttles(resources.BlkioDeviceReadIOps),
    throttleWriteIOPSDevice: throttles(resources.BlkioDeviceWriteIOps),
  };
  const present = Object.entries(entries).filter(([, value]) => value !== undefined);
  return present.length > 0
    ? (Object.fromEntries(present) as RuntimeResources["blockIO"])
    : undefined;
};

export const deviceRules = (
  host: HostConfig,
  mapped: readonly RuntimeDeviceRule[],
): RuntimeDeviceRule[] => {
  if (host.Privileged) return [{ allow: true, access: "rwm" }];
  const own = (host.DeviceCgroupRules ?? []).flatMap((text) => parseDeviceRule(text) ?? []);
  return [...DEFAULT_RULES, ...mapped, ...own];
};

/**
 * `mapped`: rules for the devices of `--device`. On v2 the weight of the shares is named as well: older
 * runtimes use a line on which twice the default shares weigh less than no shares at all.
 */
export const runtimeResources = (
  host: HostConfig,
  mapped: readonly RuntimeDeviceRule[],
  numberOf: DeviceNumberOf,
  isCgroupV2: boolean,
): RuntimeResources => {
  const resources: RuntimeResources = { devices: deviceRules(host, mapped) };
  const memory = memoryOf(host);
  const cpu = cpuOf(host);
  const blockIO = blockIoOf(host, numberOf);
  if (memory !== undefined) resources.memory = memory;
  if (cpu !== undefined) resources.cpu = cpu;
  if (host.PidsLimit !== null && host.PidsLimit > 0) resources.pids = { limit: host.PidsLimit };
  if (blockIO !== undefined) resources.blockIO = blockIO;
  if (isCgroupV2 && host.CpuShares > 0) {
    resources.unified = { "cpu.weight": `${weightOfShares(host.CpuShares)}` };
  }
  return resources;
};

/** What of the limits can be set while the container runs; -1 lifts one. */
export const liveLimits = (resources: Resources): CgroupLimits => {
  const cpu = cpuOf(resources);
  const { limit, swap, reservation } = memoryOf(resources) ?? {};
  const memory = {
    ...(limit === undefined ? {} : { limit }),
    ...(swap === undefined ? {} : { swap }),
    ...(reservation === undefined ? {} : { reservation }),
  };
  return {
    ...(cpu === undefined ? {} : { cpu }),
    ...(Object.keys(memory).length === 0 ? {} : { memory }),
    pids: { limit: resources.PidsLimit || -1 },
    ...(resources.BlkioWeight > 0 ? { blockIO: { weight: resources.BlkioWeight } } : {}),
  };
};
