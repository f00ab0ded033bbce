/**
 * Container → OCI config.json. Pure: everything looked up (users, mounts, devices, namespaces of
 * other containers) comes in as a value, so that the whole is tested as golden text.
 */
import type { ContainerRecord } from "#container/container.ts";
import type { SecurityOptions } from "#container/security.ts";
import type { ResolvedUser } from "#container/user.ts";
import { type MountOptions, runtimeMounts } from "#container/runtime-config/mounts.ts";
import {
  processCapabilities,
  processEnv,
  processOomScoreAdj,
} from "#container/runtime-config/process.ts";
import { type DeviceNumberOf, runtimeResources } from "#container/runtime-config/resources.ts";
import type {
  RuntimeConfig,
  RuntimeDevice,
  RuntimeDeviceRule,
  RuntimeMount,
  RuntimeNamespace,
  RuntimeProcess,
  RuntimeRlimit,
} from "#spec/runtime/config.ts";

export const INIT_IN_CONTAINER = "/sbin/docker-init";

export interface BuildInput {
  readonly container: ContainerRecord;
  /** Variables that tell of linked containers. */
  readonly linkedEnv: readonly string[];
  readonly rootfs: string;
  readonly user: ResolvedUser;
  readonly capabilities: readonly string[];
  readonly security: SecurityOptions;
  readonly seccomp: { readonly annotations?: Record<string, string>; readonly seccomp?: object };
  readonly devices: readonly RuntimeDevice[];
  readonly deviceRules: readonly RuntimeDeviceRule[];
  readonly deviceNumberOf: DeviceNumberOf;
  readonly userMounts: readonly RuntimeMount[];
  readonly files: MountOptions["files"];
  readonly shmPath: string | undefined;
  readonly hasHostMqueue: boolean;
  readonly initPath: string | undefined;
  readonly cgroupsPath: string;
  readonly isCgroupV2: boolean;
  /** undefined = the host's. */
  readonly networkPath: string | undefined;
  /** Namespaces of other containers, by "pid" and "ipc". */
  readonly joined: { readonly pid?: string; readonly ipc?: string };
  readonly rlimits: readonly RuntimeRlimit[];
  /** The daemon's own. */
  readonly inheritedOomScoreAdj: number;
  readonly consoleSize: readonly [number, number];
}

const namespacesOf = (input: BuildInput): RuntimeNamespace[] => {
  const host = input.container.hostConfig;
  const list: RuntimeNamespace[] = [{ type: "mount" }];
  if (host.UTSMode !== "host") list.push({ type: "uts" });
  if (host.PidMode !== "host") {
    list.push(
      input.joined.pid === undefined ? { type: "pid" } : { type: "pid", path: input.joined.pid },
    );
  }
  if (host.IpcMode !== "host") {
    list.push(
      input.joined.ipc === undefined ? { type: "ipc" } : { type: "ipc", path: input.joined.ipc },
    );
  }
  if (input.networkPath !== undefined) list.push({ type: "network", path: input.networkPath });
  if (host.CgroupnsMode === "private") list.push({ type: "cgroup" });
  return list;
};

const processOf = (input: BuildInput): RuntimeProcess => {
  const { container, user } = input;
  const { config, hostConfig } = container;
  const argv = [container.path, ...container.args];
  const process: RuntimeProcess = {
    terminal: config.Tty,
    user: { uid: user.uid, gid: user.gid, additionalGids: [...user.additionalGids] },
    args: input.initPath === undefined ? argv : [INIT_IN_CONTAINER, "--", ...argv],
    env: processEnv({
      env: config.Env,
      linked: input.linkedEnv,
      hostname: config.Hostname,
      isTty: config.Tty,
      home: user.home,
    }),
    cwd: config.WorkingDir === "" ? "/" : config.WorkingDir,
    capabilities: processCapabilities(input.capabilities, user.uid === 0),
    noNewPrivileges: input.security.isNoNewPrivileges,
  };
  if (input.rlimits.length > 0) process.rlimits = [...input.rlimits];
  const { apparmor } = input.security;
  if (apparmor !== undefined && apparmor !== "" && apparmor !== "unconfined") {
    process.apparmorProfile = apparmor;
  }
  const oomScoreAdj = processOomScoreAdj(hostConfig.OomScoreAdj, input.inheritedOomScoreAdj);
  if (oomScoreAdj !== undefined) process.oomScoreAdj = oomScoreAdj;
  const [height, width] = input.consoleSize;
  if (config.Tty && height > 0 && width > 0) process.consoleSize = { height, width };
  return process;
};

/** A container with its own network may open low ports and ping without extra capabilities. */
const sysctlsOf = (input: BuildInput): Record<string, string> => {
  const isOwnNetwork =
    input.networkPath !== undefined &&
    !input.container.hostConfig.NetworkMode.startsWith("container:");
  const network = isOwnNetwork
    ? { "net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647" }
    : {};
  return { ...network, ...input.container.hostConfig.Sysctls };
};

const PROPAGATION_RANK = ["private", "rprivate", "slave", "rslave", "shared", "rshared"];

/** The root's propagation must allow what the most open mount asks for. */
const rootPropagation = (mounts: readonly RuntimeMount[]): string => {
  const ranks = mounts.flatMap((mount) =>
    mount.options.map((option) => PROPAGATION_RANK.indexOf(option)),
  );
  const most = Math.max(-1, ...ranks);
  if (most >= 4) return "shared";
  return most >= 2 ? "rslave" : "rprivate";
};

const mountsOf = (input: BuildInput): RuntimeMount[] => {
  const host = input.container.hostConfig;
  return runtimeMounts({
    isPrivileged: host.Privileged,
    isCgroupWritable: input.security.isCgroupWritable,
    shmSizeBytes: host.ShmSize,
    ipcMode: host.IpcMode,
    shmPath: input.shmPath,
    hasHostMqueue: input.hasHostMqueue,
    isHostNetwork: input.networkPath === undefined,
    files: input.files,
    user: input.userMounts,
    initPath: input.initPath,
  });
};

export const buildRuntimeConfig = (input: BuildInput): RuntimeConfig => {
  const { container, security } = input;
  const host = container.hostConfig;
  const annotations = { ...host.Annotations, ...input.seccomp.annotations };
  const config: RuntimeConfig = {
    ociVersion: "1.0.2",
    process: processOf(input),
    root: { path: input.rootfs, readonly: host.ReadonlyRootfs },
    mounts: mountsOf(input),
    linux: {
      namespaces: namespacesOf(input),
      devices: [...input.devices],
      resources: runtimeResources(host, input.deviceRules, input.deviceNumberOf, input.isCgroupV2),
      cgroupsPath: input.cgroupsPath,
      rootfsPropagation: rootPropagation(input.userMounts),
    },
  };
  if (host.UTSMode !== "host") config.hostname = container.config.Hostname;
  if (container.config.Domainname !== "" && host.UTSMode !== "host")
    config.domainname = container.config.Domainname;
  if (Object.keys(annotations).length > 0) config.annotations = annotations;
  const sysctl = sysctlsOf(input);
  if (Object.keys(sysctl).length > 0) config.linux.sysctl = sysctl;
  if (input.seccomp.seccomp !== undefined) config.linux.seccomp = input.seccomp.seccomp;
  if (!security.isSystemPathsUnconfined && !host.Privileged) {
    config.linux.maskedPaths = host.MaskedPaths ?? [];
    config.linux.readonlyPaths = host.ReadonlyPaths ?? [];
  }
  return config;
};
