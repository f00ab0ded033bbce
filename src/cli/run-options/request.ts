/** From the flags of `run` and `create` to the body of POST /containers/create. */
import type { Environment } from "#cli/context.ts";
import type { FlagValues } from "#cli/framework/flags.ts";
import { parsePairs, parseRestart, readSecurityOptions } from "#cli/run-options/checks.ts";
import { collectEnv, collectLabels, proxyEnv } from "#cli/run-options/environment.ts";
import type { containerFlags, limitFlags } from "#cli/run-options/flags.ts";
import { healthConfig } from "#cli/run-options/health.ts";
import { parseTmpfs, splitVolumes } from "#cli/run-options/mounts.ts";
import { chooseNetworks } from "#cli/run-options/networks.ts";
import { parsePorts } from "#cli/run-options/ports.ts";
import { isCdiName, parseDevice } from "#cli/run-options/resources.ts";
import type { CreateRequest } from "#spec/docker/container.ts";
import type { HostConfig, Resources } from "#spec/docker/host-config.ts";

export type ContainerFlagValues = FlagValues<typeof containerFlags>;

export interface RequestInput {
  readonly flags: ContainerFlagValues;
  readonly changed: ReadonlySet<string>;
  readonly image: string;
  readonly args: readonly string[];
  readonly env: Environment;
  /** Of config.json, for the host spoken to. */
  readonly proxies?: Readonly<Record<string, string>> | undefined;
}

/** The fields that were given: an absent flag leaves its field to the engine. */
const given = <T extends object>(fields: { [K in keyof T]: T[K] | undefined }): Partial<T> =>
  Object.fromEntries(
    Object.entries(fields).filter(
      ([, value]) => value !== undefined && (!Array.isArray(value) || value.length > 0),
    ),
  ) as Partial<T>;

export const limits = (flags: FlagValues<typeof limitFlags>): Partial<Resources> =>
  given<Partial<Resources>>({
    BlkioWeight: flags["blkio-weight"],
    CpuPeriod: flags["cpu-period"],
    CpuQuota: flags["cpu-quota"],
    CpuRealtimePeriod: flags["cpu-rt-period"],
    CpuRealtimeRuntime: flags["cpu-rt-runtime"],
    CpuShares: flags["cpu-shares"],
    NanoCpus: flags.cpus,
    CpusetCpus: flags["cpuset-cpus"],
    CpusetMems: flags["cpuset-mems"],
    Memory: flags.memory,
    MemoryReservation: flags["memory-reservation"],
    MemorySwap: flags["memory-swap"],
    PidsLimit: flags["pids-limit"],
  });

const resources = (flags: ContainerFlagValues): Partial<Resources> => {
  const swappiness = flags["memory-swappiness"];
  if (swappiness !== undefined && swappiness !== -1 && (swappiness < 0 || swappiness > 100)) {
    throw new Error(`invalid value: ${String(swappiness)}. Valid memory swappiness range is 0-100`);
  }
  const cdi = flags.device.filter(isCdiName);
  const requests = [
    ...flags.gpus,
    ...(cdi.length === 0
      ? []
      : [{ Driver: "cdi", Count: 0, DeviceIDs: cdi, Capabilities: null, Options: null }]),
  ];
  return {
    ...limits(flags),
    ...given<Partial<Resources>>({
      CgroupParent: flags["cgroup-parent"],
      BlkioWeightDevice: [...flags["blkio-weight-device"]],
      BlkioDeviceReadBps: [...flags["device-read-bps"]],
      BlkioDeviceWriteBps: [...flags["device-write-bps"]],
      BlkioDeviceReadIOps: [...flags["device-read-iops"]],
      BlkioDeviceWriteIOps: [...flags["device-write-iops"]],
      DeviceCgroupRules: [...flags["device-cgroup-rule"]],
      Devices: flags.device.filter((device) => !isCdiName(device)).map(parseDevice),
      DeviceRequests: requests,
      MemorySwappiness: swappiness,
      OomKillDisable: flags["oom-kill-disable"] ? true : undefined,
      Ulimits: [...flags.ulimit],
    }),
  };
};

const checkModes = (flags: ContainerFlagValues): void => {
  const isIn = (value: string | undefined, ...allowed: readonly string[]): boolean =>
    value === undefined || value === "" || allowed.includes(value);
  if (!isIn(flags.pid, "host") && !/^container:.+/.test(flags.pid ?? "")) {
    throw new Error("--pid: invalid PID mode");
  }
  if (!isIn(flags.uts, "host")) throw new Error("--uts: invalid UTS mode");
  if (!isIn(flags.userns, "host")) throw new Error("--userns: invalid USER mode");
  if (!isIn(flags.cgroupns, "host", "private")) throw new Error("--cgroupns: invalid CGROUP mode");
  if (flags["use-api-socket"]) {
    throw new Error("--use-api-socket is not supported: mount the engine's socket with -v instead");
  }
  if (flags["log-driver"] === "none" && flags["log-opt"].length > 0) {
    throw new Error("invalid logging opts for driver none");
  }
};

const UNCONFINED_PATHS = "systempaths=unconfined";

const hostConfig = async (
  flags: ContainerFlagValues,
  changed: ReadonlySet<string>,
): Promise<Partial<HostConfig>> => {
  checkModes(flags);
  const restart = parseRestart(flags.restart ?? "no");
  if (flags.rm && restart.Name !== "no" && restart.Name !== "") {
    throw new Error("conflicting options: cannot specify both --restart and --rm");
  }
  const security = await readSecurityOptions(flags["security-opt"]);
  const isUnconfined = security.includes(UNCONFINED_PATHS);
  const tmpfs = parseTmpfs(flags.tmpfs);
  const storage = parsePairs(flags["storage-opt"], "invalid storage option");
  const sysctls = Object.fromEntries(flags.sysctl);
  const annotations = parsePairs(flags.annotation, "");
  const hasAny = (map: object): boolean => Object.keys(map).length > 0;
  return {
    ...resources(flags),
    ...given<Partial<HostConfig>>({
      Annotations: hasAny(annotations) ? annotations : undefined,
      AutoRemove: flags.rm ? true : undefined,
      Binds: splitVolumes(flags.volume).binds,
      CapAdd: capabilities(flags["cap-add"]),
      CapDrop: capabilities(flags["cap-drop"]),
      CgroupnsMode: flags.cgroupns as HostConfig["CgroupnsMode"] | undefined,
      ContainerIDFile: flags.cidfile,
      Dns: [...flags.dns],
      DnsOptions: [...flags["dns-option"]],
      DnsSearch: [...flags["dns-search"]],
      ExtraHosts: [...flags["add-host"]],
      GroupAdd: [...flags["group-add"]],
      Init: changed.has("init") ? flags.init : undefined,
      IpcMode: flags.ipc,
      Isolation: flags.isolation,
      Links: [...flags.link],
      LogConfig:
        flags["log-driver"] === undefined && flags["log-opt"].length === 0
          ? undefined
          : { Type: flags["log-driver"] ?? "", Config: parsePairs(flags["log-opt"], "") },
      MaskedPaths: undefined,
      Mounts: [...flags.mount],
      OomScoreAdj: flags["oom-score-adj"],
      PidMode: flags.pid,
      Privileged: flags.privileged ? true : undefined,
      PublishAllPorts: flags["publish-all"] ? true : undefined,
      ReadonlyRootfs: flags["read-only"] ? true : undefined,
      RestartPolicy: restart,
      Runtime: flags.runtime,
      SecurityOpt: security.filter((option) => option !== UNCONFINED_PATHS),
      ShmSize: flags["shm-size"],
      StorageOpt: hasAny(storage) ? storage : undefined,
      Sysctls: hasAny(sysctls) ? sysctls : undefined,
      Tmpfs: hasAny(tmpfs) ? tmpfs : undefined,
      UTSMode: flags.uts,
      UsernsMode: flags.userns,
      VolumeDriver: flags["volume-driver"],
      VolumesFrom: [...flags["volumes-from"]],
    }),
    // Empty lists mean "mask nothing"; leaving them out means the engine's own.
    ...(isUnconfined ? { MaskedPaths: [], ReadonlyPaths: [] } : {}),
  };
};

/** By their full names and once each, as docker sends them and tools read them in inspect. */
const capabilities = (given: readonly string[]): string[] => {
  const full = given
    .map((name) => name.toUpperCase())
    .map((name) => (name === "ALL" || name.startsWith("CAP_") ? name : `CAP_${name}`));
  return [...new Set(full)].toSorted();
};

/** Throws plain errors with docker's words; nothing has been sent by then. */
export const buildCreateRequest = async (input: RequestInput): Promise<CreateRequest> => {
  const { flags, changed, args } = input;
  const host = await hostConfig(flags, changed);
  const { bindings, exposedPorts } = parsePorts(flags.publish, flags.expose);
  const { mode, endpoints } = chooseNetworks(flags.network, {
    aliases: flags["network-alias"],
    ipv4: flags.ip,
    ipv6: flags.ip6,
    mac: flags["mac-address"],
    linkLocalIps: flags["link-local-ip"],
    links: flags.link,
  });
  const { anonymous } = splitVolumes(flags.volume);
  const env = await collectEnv(flags["env-file"], flags.env, input.env);
  const health = healthConfig(flags);
  const { attach, interactive } = flags;
  const attachStdin = interactive || attach.includes("stdin");
  const isAll = attach.length === 0;
  return {
    ...given<CreateRequest>({
      Hostname: flags.hostname,
      Domainname: flags.domainname,
      User: flags.user,
      Env: [...proxyEnv(input.proxies, env), ...env],
      Cmd: [...args],
      WorkingDir: flags.workdir,
      StopSignal: flags["stop-signal"],
      StopTimeout: flags["stop-timeout"],
      Healthcheck: health,
      ExposedPorts: Object.keys(exposedPorts).length > 0 ? exposedPorts : undefined,
      Volumes: Object.keys(anonymous).length > 0 ? anonymous : undefined,
    }),
    // `--entrypoint ""` clears the image's own.
    ...(flags.entrypoint === undefined ? {} : { Entrypoint: [flags.entrypoint] }),
    Image: input.image,
    Labels: await collectLabels(flags["label-file"], flags.label),
    Tty: flags.tty,
    OpenStdin: interactive,
    StdinOnce: interactive && attachStdin,
    AttachStdin: attachStdin,
    AttachStdout: isAll || attach.includes("stdout"),
    AttachStderr: isAll || attach.includes("stderr"),
    HostConfig: {
      ...host,
      NetworkMode: mode,
      ...(Object.keys(bindings).length > 0 ? { PortBindings: bindings } : {}),
    },
    ...(Object.keys(endpoints).length > 0
      ? { NetworkingConfig: { EndpointsConfig: endpoints } }
      : {}),
  };
};
