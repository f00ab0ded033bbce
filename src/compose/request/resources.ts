/** Limits of a service as the engine wants them. */
import { parseDuration } from "#spec/compose/units.ts";
import type { Service, Ulimits } from "#spec/compose/compose.ts";
import type { HealthConfig } from "#spec/docker/container-config.ts";
import type {
  DeviceRequest,
  HostConfig,
  Resources,
  RestartPolicy,
  Ulimit,
} from "#spec/docker/host-config.ts";

const bytes = (text: string | undefined): number => Number(text ?? 0);
const nano = (cpus: number | undefined): number => Math.round((cpus ?? 0) * 1e9);

const ulimits = (given: Ulimits | undefined): Ulimit[] =>
  Object.entries(given ?? {}).map(([Name, value]) =>
    typeof value === "number"
      ? { Name, Soft: value, Hard: value }
      : { Name, Soft: value.soft, Hard: value.hard },
  );

const blkio = (service: Service): Partial<Resources> => {
  const given = service.blkio_config;
  if (given === undefined) return {};
  const rates = (list: typeof given.device_read_bps) =>
    (list ?? []).map(({ path, rate }) => ({ Path: path, Rate: Number(rate) }));
  return {
    BlkioWeight: given.weight ?? 0,
    BlkioWeightDevice: (given.weight_device ?? []).map(({ path, weight }) => ({
      Path: path,
      Weight: weight,
    })),
    BlkioDeviceReadBps: rates(given.device_read_bps),
    BlkioDeviceReadIOps: rates(given.device_read_iops),
    BlkioDeviceWriteBps: rates(given.device_write_bps),
    BlkioDeviceWriteIOps: rates(given.device_write_iops),
  };
};

const deviceRequests = (service: Service): DeviceRequest[] => {
  const reserved = service.deploy?.resources?.reservations?.devices ?? [];
  const shape = (
    given: (typeof reserved)[number],
    capabilities: readonly string[],
  ): DeviceRequest => ({
    Driver: given.driver ?? "",
    Count: given.count ?? 0,
    DeviceIDs: given.device_ids === undefined ? null : [...given.device_ids],
    Capabilities: [[...capabilities]],
    Options: given.options ?? null,
  });
  return [
    ...reserved.map((given) => shape(given, given.capabilities ?? [])),
    ...(service.gpus ?? []).map((given) => shape(given, [...(given.capabilities ?? []), "gpu"])),
  ];
};

/** Fields that say nothing are left out, so that the engine's defaults stand. */
export const withoutEmpty = <T extends object>(given: T): Partial<T> =>
  Object.fromEntries(
    Object.entries(given).filter(
      ([, value]) =>
        value !== undefined &&
        value !== 0 &&
        value !== "" &&
        value !== false &&
        !(Array.isArray(value) && value.length === 0),
    ),
  ) as Partial<T>;

export const resourcesOf = (service: Service): Partial<HostConfig> => {
  const limits = service.deploy?.resources?.limits;
  const reservations = service.deploy?.resources?.reservations;
  const swappiness = service.mem_swappiness;
  const requests = deviceRequests(service);
  return withoutEmpty({
    CgroupParent: service.cgroup_parent ?? "",
    Memory: bytes(limits?.memory ?? service.mem_limit),
    MemorySwap: bytes(service.memswap_limit),
    ...(swappiness === undefined ? {} : { MemorySwappiness: Number(swappiness) }),
    MemoryReservation: bytes(reservations?.memory ?? service.mem_reservation),
    ...(service.oom_kill_disable === true ? { OomKillDisable: true } : {}),
    CpuCount: service.cpu_count ?? 0,
    CpuPercent: service.cpu_percent ?? 0,
    CpuPeriod: service.cpu_period ?? 0,
    CpuQuota: service.cpu_quota ?? 0,
    CpuRealtimePeriod: service.cpu_rt_period ?? 0,
    CpuRealtimeRuntime: service.cpu_rt_runtime ?? 0,
    CpuShares: service.cpu_shares ?? 0,
    NanoCpus: nano(limits?.cpus ?? service.cpus),
    CpusetCpus: service.cpuset ?? "",
    DeviceCgroupRules: [...(service.device_cgroup_rules ?? [])],
    PidsLimit: limits?.pids ?? service.pids_limit ?? 0,
    ...blkio(service),
    Devices: (service.devices ?? []).map(({ source, target, permissions }) => ({
      PathOnHost: source,
      PathInContainer: target ?? source,
      CgroupPermissions: permissions ?? "rwm",
    })),
    DeviceRequests: requests,
    Ulimits: ulimits(service.ulimits),
  });
};

const POLICIES: Readonly<Record<string, RestartPolicy["Name"]>> = {
  none: "no",
  no: "no",
  "on-failure": "on-failure",
  "unless-stopped": "unless-stopped",
  any: "always",
  always: "always",
};

export const restartPolicyOf = (service: Service): RestartPolicy | undefined => {
  const policy = service.deploy?.restart_policy;
  if (policy !== undefined) {
    const Name = POLICIES[policy.condition ?? "any"] ?? "always";
    const count = Name === "on-failure" ? (policy.max_attempts ?? 0) : 0;
    return { Name, MaximumRetryCount: count };
  }
  if (service.restart === undefined) return undefined;
  const [word = "", count] = service.restart.split(":");
  return { Name: POLICIES[word] ?? "", MaximumRetryCount: Number(count ?? 0) };
};

const nanoseconds = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : parseDuration(text);

/** Undefined leaves the image's own. */
export const healthcheckOf = (service: Service): HealthConfig | undefined => {
  const given = service.healthcheck;
  if (given === undefined) return undefined;
  if (given.disable === true) return { Test: ["NONE"] };
  return withoutEmpty({
    Test: [...(given.test ?? [])],
    Interval: nanoseconds(given.interval) ?? 0,
    Timeout: nanoseconds(given.timeout) ?? 0,
    StartPeriod: nanoseconds(given.start_period) ?? 0,
    StartInterval: nanoseconds(given.start_interval) ?? 0,
    Retries: given.retries ?? 0,
  });
};
