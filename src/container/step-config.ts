/**
 * config.json for a process that is no container but must be held like one: a build's step, or what a build starts beside its steps. The same
 * capabilities, seccomp filter, devices and masked paths as a container that asks for nothing special.
 */
import type { ContainerRecord } from "#container/container.ts";
import { capabilitiesOf } from "#container/capabilities.ts";
import type { ContainerDependencies } from "#container/dependencies.ts";
import { deviceNumberOf, runtimeDevices } from "#container/devices.ts";
import { normalizeHostConfig } from "#container/normalize-host.ts";
import { rlimitsOf } from "#container/rlimits.ts";
import { buildRuntimeConfig } from "#container/runtime-config/build.ts";
import { parseSecurityOptions } from "#container/security.ts";
import { lookUpUser } from "#container/user-files.ts";
import { ensureWorkingDirectory } from "#container/working-directory.ts";
import type { HostConfig } from "#spec/docker/host-config.ts";
import { digestOf } from "#spec/image/digest.ts";
import type { RuntimeConfig, RuntimeMount } from "#spec/runtime/config.ts";

export interface StepConfigRequest {
  readonly id: string;
  /** The mounted, writable root. */
  readonly rootfs: string;
  readonly args: readonly string[];
  readonly env: readonly string[];
  /** "" = "/"; made where it is missing. */
  readonly workingDir: string;
  /** As USER says it. */
  readonly user: string;
  readonly hostname: string;
  readonly isTty: boolean;
  /** A network namespace; undefined = the host's. */
  readonly networkPath: string | undefined;
  /** hosts, resolv.conf, hostname. */
  readonly files: readonly { readonly destination: string; readonly source: string }[];
  readonly mounts: readonly RuntimeMount[];
  /** Limits, shm size, extra hosts, whether it is privileged. */
  readonly hostConfig: Partial<HostConfig>;
  readonly cgroupsPath: string;
}

export type StepConfigDependencies = Pick<ContainerDependencies, "facts" | "kernel" | "seccomp">;

const recordOf = (request: StepConfigRequest, hostConfig: HostConfig): ContainerRecord => {
  const [path = "", ...args] = request.args;
  return {
    id: request.id,
    name: request.id,
    createdAt: "",
    platform: "linux",
    imageId: digestOf(""),
    config: {
      Hostname: request.hostname,
      Domainname: "",
      User: request.user,
      AttachStdin: false,
      AttachStdout: true,
      AttachStderr: true,
      Tty: request.isTty,
      OpenStdin: false,
      StdinOnce: false,
      Env: [...request.env],
      Cmd: [...request.args],
      Image: "",
      Volumes: null,
      WorkingDir: request.workingDir,
      Entrypoint: null,
      OnBuild: null,
      Labels: {},
    },
    hostConfig,
    path,
    args,
    mounts: [],
    endpoints: {},
    ports: {},
    logPath: "",
    restartCount: 0,
    isStoppedByUser: false,
    state: {
      status: "created",
      exitCode: 0,
      startedAt: "",
      finishedAt: "",
      isOomKilled: false,
      error: "",
    },
  };
};

const isHostname = (entry: string): boolean => entry.startsWith("HOSTNAME=");

/** Throws invalid_argument for limits and users that do not hold. Makes the working directory. */
export const stepConfigOf = (
  { facts, kernel, seccomp }: StepConfigDependencies,
  request: StepConfigRequest,
): RuntimeConfig => {
  const hostConfig = normalizeHostConfig(
    { ...request.hostConfig, NetworkMode: request.networkPath === undefined ? "host" : "bridge" },
    facts,
  );
  const capabilities = capabilitiesOf(facts, hostConfig);
  const security = parseSecurityOptions(hostConfig.SecurityOpt, hostConfig.Privileged);
  const { devices, rules } = runtimeDevices(hostConfig);
  const user = lookUpUser(kernel, request.rootfs, request.user);
  ensureWorkingDirectory(kernel, request.rootfs, request.workingDir);
  const config = buildRuntimeConfig({
    container: recordOf(request, hostConfig),
    linkedEnv: [],
    rootfs: request.rootfs,
    user,
    capabilities,
    security,
    seccomp: seccomp.forContainer(hostConfig.Runtime, security.seccomp, capabilities),
    devices,
    deviceRules: rules,
    deviceNumberOf,
    userMounts: request.mounts,
    files: request.files,
    shmPath: undefined,
    hasHostMqueue: true,
    initPath: undefined,
    cgroupsPath: request.cgroupsPath,
    isCgroupV2: facts.isCgroupV2,
    networkPath: request.networkPath,
    joined: {},
    inheritedOomScoreAdj: facts.oomScoreAdj,
    rlimits: rlimitsOf(kernel, hostConfig),
    consoleSize: [0, 0],
  });
  // A container is told its name by a variable; a step is not, or what it writes of its environment had it.
  if (!request.env.some(isHostname)) {
    const { process: step } = config;
    step.env = step.env.filter((entry) => !isHostname(entry));
  }
  return config;
};
