/**
 * The body of POST /containers/create: the kinds of its fields are checked here, so that a wrong one
 * is refused by name; what they mean is the container room's business.
 */
import { NaruError } from "#lib/errors.ts";
import type { CreateRequest } from "#spec/docker/container.ts";

type Kind = "text" | "number" | "flag" | "texts" | "object" | "list" | "textOrTexts";

const CONFIG_KINDS: Readonly<Record<string, Kind>> = {
  Hostname: "text",
  Domainname: "text",
  User: "text",
  AttachStdin: "flag",
  AttachStdout: "flag",
  AttachStderr: "flag",
  ExposedPorts: "object",
  Tty: "flag",
  OpenStdin: "flag",
  StdinOnce: "flag",
  Env: "texts",
  Cmd: "textOrTexts",
  Healthcheck: "object",
  ArgsEscaped: "flag",
  Image: "text",
  Volumes: "object",
  WorkingDir: "text",
  Entrypoint: "textOrTexts",
  NetworkDisabled: "flag",
  MacAddress: "text",
  OnBuild: "texts",
  Labels: "object",
  StopSignal: "text",
  StopTimeout: "number",
  Shell: "textOrTexts",
  HostConfig: "object",
  NetworkingConfig: "object",
};

const HOST_KINDS: Readonly<Record<string, Kind>> = {
  Binds: "texts",
  ContainerIDFile: "text",
  LogConfig: "object",
  NetworkMode: "text",
  PortBindings: "object",
  RestartPolicy: "object",
  AutoRemove: "flag",
  VolumeDriver: "text",
  VolumesFrom: "texts",
  ConsoleSize: "list",
  Annotations: "object",
  Mounts: "list",
  CapAdd: "textOrTexts",
  CapDrop: "textOrTexts",
  CgroupnsMode: "text",
  Dns: "texts",
  DnsOptions: "texts",
  DnsSearch: "texts",
  ExtraHosts: "texts",
  GroupAdd: "texts",
  IpcMode: "text",
  Cgroup: "text",
  Links: "texts",
  OomScoreAdj: "number",
  PidMode: "text",
  Privileged: "flag",
  PublishAllPorts: "flag",
  ReadonlyRootfs: "flag",
  SecurityOpt: "texts",
  StorageOpt: "object",
  Tmpfs: "object",
  UTSMode: "text",
  UsernsMode: "text",
  ShmSize: "number",
  Sysctls: "object",
  Runtime: "text",
  Isolation: "text",
  MaskedPaths: "texts",
  ReadonlyPaths: "texts",
  Init: "flag",
};

export const RESOURCE_KINDS: Readonly<Record<string, Kind>> = {
  CpuShares: "number",
  Memory: "number",
  NanoCpus: "number",
  CgroupParent: "text",
  BlkioWeight: "number",
  BlkioWeightDevice: "list",
  BlkioDeviceReadBps: "list",
  BlkioDeviceWriteBps: "list",
  BlkioDeviceReadIOps: "list",
  BlkioDeviceWriteIOps: "list",
  CpuPeriod: "number",
  CpuQuota: "number",
  CpuRealtimePeriod: "number",
  CpuRealtimeRuntime: "number",
  CpusetCpus: "text",
  CpusetMems: "text",
  Devices: "list",
  DeviceCgroupRules: "texts",
  DeviceRequests: "list",
  MemoryReservation: "number",
  MemorySwap: "number",
  MemorySwappiness: "number",
  OomKillDisable: "flag",
  PidsLimit: "number",
  Ulimits: "list",
  CpuCount: "number",
  CpuPercent: "number",
  IOMaximumIOps: "number",
  IOMaximumBandwidth: "number",
  RestartPolicy: "object",
};

const isTexts = (value: unknown): boolean =>
  Array.isArray(value) && value.every((item) => typeof item === "string");
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const CHECKS: Readonly<Record<Kind, readonly [test: (value: unknown) => boolean, name: string]>> = {
  text: [(value) => typeof value === "string", "a string"],
  number: [(value) => typeof value === "number" && Number.isFinite(value), "a number"],
  flag: [(value) => typeof value === "boolean", "true or false"],
  texts: [isTexts, "a list of strings"],
  object: [isObject, "an object"],
  list: [Array.isArray, "a list"],
  textOrTexts: [(value) => typeof value === "string" || isTexts(value), "a list of strings"],
};

/**
 * `fields` with names in their canonical spelling (Go's decoder ignores case) and without nulls,
 * which mean the same as absence. Throws invalid_argument naming the field.
 */
export const checkKinds = (
  fields: Record<string, unknown>,
  kinds: Readonly<Record<string, Kind>>,
  where: string,
): Record<string, unknown> => {
  const checked: Record<string, unknown> = {};
  for (const [given, value] of Object.entries(fields)) {
    if (value === null) continue;
    const name = given in kinds ? given : canonical(given, kinds);
    const kind = name === undefined ? undefined : kinds[name];
    // Unknown fields are those of newer or older APIs: Docker passes over them too.
    if (name === undefined || kind === undefined) continue;
    const [isRight, expected] = CHECKS[kind];
    if (!isRight(value)) {
      throw new NaruError("invalid_argument", `invalid JSON: "${where}${name}" is not ${expected}`);
    }
    checked[name] = kind === "textOrTexts" && typeof value === "string" ? [value] : value;
  }
  return checked;
};

const canonical = (given: string, kinds: Readonly<Record<string, Kind>>): string | undefined => {
  const lower = given.toLowerCase();
  return Object.keys(kinds).find((name) => name.toLowerCase() === lower);
};

/** The request with its fields checked; a copy that the caller may change. */
export const decodeCreateRequest = (body: Record<string, unknown>): CreateRequest => {
  const request = checkKinds(body, CONFIG_KINDS, "");
  const host = request["HostConfig"];
  if (isObject(host)) {
    request["HostConfig"] = checkKinds(host, { ...HOST_KINDS, ...RESOURCE_KINDS }, "HostConfig.");
  }
  return request as CreateRequest;
};
