/**
 * The body of POST /containers/create: the kinds of its fields are checked here, so that a wrong one
 * is refused by name; what they mean is the container room's business.
 */
import { checkFields, type Fields, SET, TEXT_MAP, TEXTS } from "#api/docker/body-fields.ts";
import type { CreateRequest } from "#spec/docker/container.ts";

const HEALTH: Fields = {
  Test: TEXTS,
  Interval: "number",
  Timeout: "number",
  StartPeriod: "number",
  StartInterval: "number",
  Retries: "number",
};

export const ENDPOINT: Fields = {
  IPAMConfig: { fields: { IPv4Address: "text", IPv6Address: "text", LinkLocalIPs: TEXTS } },
  Links: TEXTS,
  Aliases: TEXTS,
  MacAddress: "text",
  DriverOpts: TEXT_MAP,
  GwPriority: "number",
  NetworkID: "text",
  EndpointID: "text",
  Gateway: "text",
  IPAddress: "text",
  IPPrefixLen: "number",
  IPv6Gateway: "text",
  GlobalIPv6Address: "text",
  GlobalIPv6PrefixLen: "number",
  DNSNames: TEXTS,
};

export const PORT_MAP = {
  map: { list: { fields: { HostIp: "text", HostPort: "text" } } },
} as const;

const MOUNT: Fields = {
  Type: "text",
  Source: "text",
  Target: "text",
  ReadOnly: "flag",
  Consistency: "text",
  BindOptions: {
    fields: {
      Propagation: "text",
      NonRecursive: "flag",
      CreateMountpoint: "flag",
      ReadOnlyNonRecursive: "flag",
      ReadOnlyForceRecursive: "flag",
    },
  },
  VolumeOptions: {
    fields: {
      NoCopy: "flag",
      Labels: TEXT_MAP,
      Subpath: "text",
      DriverConfig: { fields: { Name: "text", Options: TEXT_MAP } },
    },
  },
  TmpfsOptions: { fields: { SizeBytes: "number", Mode: "number", Options: { list: TEXTS } } },
  ImageOptions: { fields: { Subpath: "text" } },
};

const RESTART_POLICY: Fields = { Name: "text", MaximumRetryCount: "number" };

const THROTTLES = { list: { fields: { Path: "text", Rate: "number" } } } as const;

export const RESOURCE_FIELDS: Fields = {
  CpuShares: "number",
  Memory: "number",
  NanoCpus: "number",
  CgroupParent: "text",
  BlkioWeight: "number",
  BlkioWeightDevice: { list: { fields: { Path: "text", Weight: "number" } } },
  BlkioDeviceReadBps: THROTTLES,
  BlkioDeviceWriteBps: THROTTLES,
  BlkioDeviceReadIOps: THROTTLES,
  BlkioDeviceWriteIOps: THROTTLES,
  CpuPeriod: "number",
  CpuQuota: "number",
  CpuRealtimePeriod: "number",
  CpuRealtimeRuntime: "number",
  CpusetCpus: "text",
  CpusetMems: "text",
  Devices: {
    list: { fields: { PathOnHost: "text", PathInContainer: "text", CgroupPermissions: "text" } },
  },
  DeviceCgroupRules: TEXTS,
  DeviceRequests: {
    list: {
      fields: {
        Driver: "text",
        Count: "number",
        DeviceIDs: TEXTS,
        Capabilities: { list: TEXTS },
        Options: TEXT_MAP,
      },
    },
  },
  MemoryReservation: "number",
  MemorySwap: "number",
  MemorySwappiness: "number",
  OomKillDisable: "flag",
  PidsLimit: "number",
  Ulimits: { list: { fields: { Name: "text", Soft: "number", Hard: "number" } } },
  CpuCount: "number",
  CpuPercent: "number",
  IOMaximumIOps: "number",
  IOMaximumBandwidth: "number",
  RestartPolicy: { fields: RESTART_POLICY },
};

const HOST_FIELDS: Fields = {
  ...RESOURCE_FIELDS,
  Binds: TEXTS,
  ContainerIDFile: "text",
  LogConfig: { fields: { Type: "text", Config: TEXT_MAP } },
  NetworkMode: "text",
  PortBindings: PORT_MAP,
  RestartPolicy: { fields: RESTART_POLICY },
  AutoRemove: "flag",
  VolumeDriver: "text",
  VolumesFrom: TEXTS,
  ConsoleSize: { list: "number" },
  Annotations: TEXT_MAP,
  Mounts: { list: { fields: MOUNT } },
  CapAdd: "textOrTexts",
  CapDrop: "textOrTexts",
  CgroupnsMode: "text",
  Dns: TEXTS,
  DnsOptions: TEXTS,
  DnsSearch: TEXTS,
  ExtraHosts: TEXTS,
  GroupAdd: TEXTS,
  IpcMode: "text",
  Cgroup: "text",
  Links: TEXTS,
  OomScoreAdj: "number",
  PidMode: "text",
  Privileged: "flag",
  PublishAllPorts: "flag",
  ReadonlyRootfs: "flag",
  SecurityOpt: TEXTS,
  StorageOpt: TEXT_MAP,
  Tmpfs: TEXT_MAP,
  UTSMode: "text",
  UsernsMode: "text",
  ShmSize: "number",
  Sysctls: TEXT_MAP,
  Runtime: "text",
  Isolation: "text",
  MaskedPaths: TEXTS,
  ReadonlyPaths: TEXTS,
  Init: "flag",
};

const CONFIG_FIELDS: Fields = {
  Hostname: "text",
  Domainname: "text",
  User: "text",
  AttachStdin: "flag",
  AttachStdout: "flag",
  AttachStderr: "flag",
  ExposedPorts: SET,
  Tty: "flag",
  OpenStdin: "flag",
  StdinOnce: "flag",
  Env: TEXTS,
  Cmd: "textOrTexts",
  Healthcheck: { fields: HEALTH },
  ArgsEscaped: "flag",
  Image: "text",
  Volumes: SET,
  WorkingDir: "text",
  Entrypoint: "textOrTexts",
  NetworkDisabled: "flag",
  MacAddress: "text",
  OnBuild: TEXTS,
  Labels: TEXT_MAP,
  StopSignal: "text",
  StopTimeout: "number",
  Shell: "textOrTexts",
  HostConfig: { fields: HOST_FIELDS },
  NetworkingConfig: { fields: { EndpointsConfig: { map: { fields: ENDPOINT } } } },
};

/** The request with its fields checked; a copy that the caller may change. */
export const decodeCreateRequest = (body: Record<string, unknown>): CreateRequest =>
  checkFields(body, CONFIG_FIELDS) as CreateRequest;
