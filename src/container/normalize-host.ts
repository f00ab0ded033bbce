/** HostConfig with every default filled in, and everything refused that cannot be kept (pure). */
import { NaruError } from "#lib/errors.ts";
import { validateResources } from "#container/validate-resources.ts";
import { parseDeviceRule } from "#container/runtime-config/resources.ts";
import { validateUlimits } from "#container/runtime-config/process.ts";
import { DEFAULT_MASKED_PATHS, DEFAULT_READONLY_PATHS } from "#container/runtime-config/mounts.ts";
import { parseExtraHost } from "#network/files.ts";
import type { Capability } from "#spec/runtime/capabilities.ts";
import type { HostConfig, Resources, RestartPolicy, Ulimit } from "#spec/docker/host-config.ts";
import { parsePortMap } from "#spec/docker/ports.ts";

export interface HostFacts {
  readonly hasApparmor: boolean;
  /** Whether the kernel weighs block devices' users at all. */
  readonly hasBlockWeight: boolean;
  /** What this daemon can give. */
  readonly capabilities: readonly Capability[];
  readonly isCgroupV2: boolean;
  readonly cpuCount: number;
  readonly runtimes: readonly string[];
  readonly defaultRuntime: string;
  readonly logDriver: string;
  readonly logOptions: Readonly<Record<string, string>>;
  readonly shmSizeBytes: number;
  /** The daemon's own /proc/self/oom_score_adj, which containers inherit where nothing is said. */
  readonly oomScoreAdj: number;
  /** dockerd's `--init`: what holds for containers that say nothing. */
  readonly hasInit: boolean;
}

const invalid = (message: string): never => {
  throw new NaruError("invalid_argument", message);
};

const defaults = (facts: HostFacts): HostConfig => ({
  Binds: null,
  ContainerIDFile: "",
  LogConfig: { Type: facts.logDriver, Config: {} },
  NetworkMode: "bridge",
  PortBindings: {},
  RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
  AutoRemove: false,
  VolumeDriver: "",
  VolumesFrom: null,
  ConsoleSize: [0, 0],
  CapAdd: null,
  CapDrop: null,
  CgroupnsMode: facts.isCgroupV2 ? "private" : "host",
  Dns: [],
  DnsOptions: [],
  DnsSearch: [],
  ExtraHosts: null,
  GroupAdd: null,
  IpcMode: "private",
  Cgroup: "",
  Links: null,
  OomScoreAdj: 0,
  PidMode: "",
  Privileged: false,
  PublishAllPorts: false,
  ReadonlyRootfs: false,
  SecurityOpt: null,
  UTSMode: "",
  UsernsMode: "",
  ShmSize: facts.shmSizeBytes,
  Runtime: facts.defaultRuntime,
  Isolation: "",
  CpuShares: 0,
  Memory: 0,
  NanoCpus: 0,
  CgroupParent: "",
  BlkioWeight: 0,
  BlkioWeightDevice: [],
  BlkioDeviceReadBps: [],
  BlkioDeviceWriteBps: [],
  BlkioDeviceReadIOps: [],
  BlkioDeviceWriteIOps: [],
  CpuPeriod: 0,
  CpuQuota: 0,
  CpuRealtimePeriod: 0,
  CpuRealtimeRuntime: 0,
  CpusetCpus: "",
  CpusetMems: "",
  Devices: [],
  DeviceCgroupRules: null,
  DeviceRequests: null,
  MemoryReservation: 0,
  MemorySwap: 0,
  MemorySwappiness: null,
  OomKillDisable: facts.isCgroupV2 ? null : false,
  PidsLimit: null,
  Ulimits: [],
  CpuCount: 0,
  CpuPercent: 0,
  IOMaximumIOps: 0,
  IOMaximumBandwidth: 0,
  MaskedPaths: [...DEFAULT_MASKED_PATHS],
  ReadonlyPaths: [...DEFAULT_READONLY_PATHS],
});

const RESTART_NAMES = ["", "no", "always", "unless-stopped", "on-failure"];

export const validateRestartPolicy = (policy: RestartPolicy): void => {
  if (!RESTART_NAMES.includes(policy.Name)) {
    invalid(
      `invalid restart policy: unknown policy '${policy.Name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
    );
  }
  if (policy.Name !== "on-failure" && (policy.MaximumRetryCount ?? 0) !== 0) {
    invalid("invalid restart policy: maximum retry count can only be used with 'on-failure'");
  }
  if ((policy.MaximumRetryCount ?? 0) < 0) {
    invalid("invalid restart policy: maximum retry count cannot be negative");
  }
};

/** What later stages bring, or what naru does not do: refused by name, never ignored. */
const refuseUnsupported = (host: HostConfig): void => {
  const refuse = (field: string, remedy: string): never => {
    throw new NaruError("not_implemented", `${field} is not supported: ${remedy}`);
  };
  if ((host.DeviceRequests?.length ?? 0) > 0) {
    refuse("HostConfig.DeviceRequests (--gpus)", "map the devices with --device");
  }
  if (Object.keys(host.StorageOpt ?? {}).length > 0) {
    refuse(
      "HostConfig.StorageOpt (--storage-opt)",
      "limit the disk with a volume of its own file system",
    );
  }
  if (host.UsernsMode !== "" && host.UsernsMode !== "host")
    invalid(`invalid user namespace mode: "${host.UsernsMode}"`);
  if (host.CpuRealtimePeriod > 0 || host.CpuRealtimeRuntime > 0) {
    refuse("HostConfig.CpuRealtimePeriod/Runtime", "use --cpu-shares or --cpus");
  }
  if (host.IOMaximumIOps !== 0 || host.IOMaximumBandwidth !== 0) {
    refuse(
      "HostConfig.IOMaximumIOps/IOMaximumBandwidth",
      "use --device-read-iops, --device-write-bps and the like",
    );
  }
  if (!["", "default"].includes(host.Isolation)) invalid(`invalid isolation: "${host.Isolation}"`);
};

type ModeField = "IpcMode" | "PidMode" | "UTSMode" | "CgroupnsMode";

const MODE_PATTERNS: readonly [ModeField, RegExp, string][] = [
  ["IpcMode", /^(none|private|shareable|host|container:.+)$/, "IPC"],
  ["PidMode", /^(|host|private|container:.+)$/, "PID"],
  ["UTSMode", /^(|host|private)$/, "UTS"],
  ["CgroupnsMode", /^(private|host)$/, "cgroup namespace"],
];

const validateModes = (host: HostConfig): void => {
  for (const [field, pattern, label] of MODE_PATTERNS) {
    const value = host[field];
    if (!pattern.test(value)) invalid(`invalid ${label} mode: ${value}`);
  }
  if (host.OomScoreAdj < -1000 || host.OomScoreAdj > 1000) {
    invalid(`Invalid value ${host.OomScoreAdj}, range for oom score adj is [-1000, 1000]`);
  }
  if (host.CgroupParent.split("/").includes(".."))
    invalid(`invalid cgroup parent "${host.CgroupParent}": it must not hold ".."`);
  if (host.ShmSize < 0) invalid("SHM size can not be less than 0");
  if (host.AutoRemove && !["", "no"].includes(host.RestartPolicy.Name)) {
    invalid("can't create 'AutoRemove' container with restart policy");
  }
  for (const rule of host.DeviceCgroupRules ?? []) {
    if (parseDeviceRule(rule) === undefined)
      invalid(`invalid device cgroup rule format: '${rule}'`);
  }
  if (Object.hasOwn(host.Annotations ?? {}, ""))
    invalid("invalid Annotation: the empty string is not permitted as an annotation key");
  for (const entry of host.ExtraHosts ?? []) parseExtraHost(entry);
  parsePortMap(host.PortBindings);
};

const WEIGHT_LOST =
  "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.";
const DEVICE_WEIGHT_LOST =
  "Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.";

/** Weights that no kernel file takes are left out, with a warning each: the runtime would fail with them. */
export const discardBlockWeights = (
  resources: Partial<Resources>,
  { hasBlockWeight }: Pick<HostFacts, "hasBlockWeight">,
): string[] => {
  if (hasBlockWeight) return [];
  const warnings: string[] = [];
  if ((resources.BlkioWeight ?? 0) > 0) {
    resources.BlkioWeight = 0;
    warnings.push(WEIGHT_LOST);
  }
  if ((resources.BlkioWeightDevice ?? []).length > 0) {
    resources.BlkioWeightDevice = [];
    warnings.push(DEVICE_WEIGHT_LOST);
  }
  return warnings;
};

const fillDerived = (host: HostConfig, facts: HostFacts): void => {
  if (host.NetworkMode === "" || host.NetworkMode === "default") host.NetworkMode = "bridge";
  if (facts.hasInit) host.Init ??= true;
  if (host.RestartPolicy.Name === "") host.RestartPolicy = { ...host.RestartPolicy, Name: "no" };
  if (host.IpcMode === "") host.IpcMode = "private";
  if (host.CgroupnsMode === "") host.CgroupnsMode = facts.isCgroupV2 ? "private" : "host";
  // A path below the root of every hierarchy, with or without its slash.
  if (host.CgroupParent !== "" && !host.CgroupParent.startsWith("/"))
    host.CgroupParent = `/${host.CgroupParent}`;
  if (host.ShmSize === 0) host.ShmSize = facts.shmSizeBytes;
  if (host.Runtime === "") host.Runtime = facts.defaultRuntime;
  if (host.LogConfig.Type === "") host.LogConfig = { ...host.LogConfig, Type: facts.logDriver };
  // The daemon's own log options hold for its own default driver only.
  if (host.LogConfig.Type === facts.logDriver) {
    host.LogConfig = {
      ...host.LogConfig,
      Config: { ...facts.logOptions, ...host.LogConfig.Config },
    };
  }
  if (host.Memory > 0 && host.MemorySwap === 0) host.MemorySwap = host.Memory * 2;
  if (host.MemorySwappiness === -1) host.MemorySwappiness = null;
  if (host.PidsLimit !== null && host.PidsLimit <= 0) host.PidsLimit = null;
};

/** Fields that are null or absent in the request keep their default. */
export const normalizeHostConfig = (
  request: Partial<HostConfig> | undefined,
  facts: HostFacts,
): HostConfig => {
  const host = defaults(facts);
  for (const [key, value] of Object.entries(request ?? {})) {
    if (value !== null && value !== undefined) Object.assign(host, { [key]: value });
  }
  // An explicit empty list unmasks; Docker's CLI sends it for systempaths=unconfined.
  if (host.Privileged) Object.assign(host, { MaskedPaths: null, ReadonlyPaths: null });
  host.LogConfig = { Type: host.LogConfig.Type ?? "", Config: host.LogConfig.Config ?? {} };
  host.RestartPolicy = {
    Name: host.RestartPolicy.Name ?? "",
    MaximumRetryCount: host.RestartPolicy.MaximumRetryCount ?? 0,
  };
  validateRestartPolicy(host.RestartPolicy);
  fillDerived(host, facts);
  discardBlockWeights(host, facts);
  refuseUnsupported(host);
  validateModes(host);
  // What is not said of a limit is zero.
  const ulimits: Partial<Ulimit>[] = host.Ulimits ?? [];
  host.Ulimits = ulimits.map((one) => ({ Name: "", Soft: 0, Hard: 0, ...one }));
  validateUlimits(host.Ulimits);
  validateResources(host, facts);
  if (!facts.runtimes.includes(host.Runtime)) {
    invalid(`unknown or invalid runtime name: ${host.Runtime}`);
  }
  return host;
};
