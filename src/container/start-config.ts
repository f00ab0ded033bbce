/** Looks up what config.json needs (user, files, mounts, joined namespaces) and builds it. */
import { existsSync, mkdirSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import { type ContainerRecord, isLive } from "#container/container.ts";
import { deviceNumberOf, runtimeDevices } from "#container/devices.ts";
import { capabilitiesOf } from "#container/capabilities.ts";
import type { Engine } from "#container/engine.ts";
import { linkedEnv } from "#container/links.ts";
import { parseNetworkMode } from "#container/network-mode.ts";
import { rlimitsOf } from "#container/rlimits.ts";
import { isSetLate } from "#container/runtime-config/process.ts";
import { buildRuntimeConfig } from "#container/runtime-config/build.ts";
import { parseSecurityOptions } from "#container/security.ts";
import type { ResolvedUser } from "#container/user.ts";
import { lookUpUser } from "#container/user-files.ts";
import { ensureWorkingDirectory } from "#container/working-directory.ts";
import { containerFiles } from "#container/container-files.ts";
import type { RuntimeConfig, RuntimeMount } from "#spec/runtime/config.ts";

export const userOf = (
  engine: Engine,
  record: ContainerRecord,
  rootfs: string,
  spec: string,
): ResolvedUser => lookUpUser(engine.deps.kernel, rootfs, spec, record.hostConfig.GroupAdd ?? []);

/** The live process whose namespace is joined; conflict when that container does not run. */
const joinedPid = (engine: Engine, mode: string, what: string): number | undefined => {
  if (!mode.startsWith("container:")) return undefined;
  const other = engine.states.get(mode.slice(10));
  if (!isLive(other.state)) {
    throw new NaruError("conflict", `cannot join ${what} of a non running container: ${other.id}`);
  }
  return other.state.process.pid;
};

/** `--ipc container:X` shares X's /dev/shm, which X must have been made shareable for. */
export const sharedShm = (engine: Engine, record: ContainerRecord): string | undefined => {
  const { IpcMode } = record.hostConfig;
  if (IpcMode === "shareable") {
    const path = `${engine.bundleOf(record.id)}/shm`;
    mkdirSync(path, { recursive: true, mode: 0o1777 });
    const options = `mode=1777,size=${record.hostConfig.ShmSize}`;
    engine.deps.kernel.mount("shm", path, "tmpfs", ["nosuid", "nodev", "noexec"], options);
    return path;
  }
  if (!IpcMode.startsWith("container:")) return undefined;
  const other = engine.states.get(IpcMode.slice(10));
  if (other.hostConfig.IpcMode !== "shareable") {
    throw new NaruError(
      "invalid_argument",
      `can't join IPC of container ${other.id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
    );
  }
  return `${engine.bundleOf(other.id)}/shm`;
};

const networkPathOf = (engine: Engine, record: ContainerRecord): string | undefined => {
  const mode = parseNetworkMode(record.hostConfig.NetworkMode);
  if (mode.kind === "container") {
    const pid = joinedPid(engine, record.hostConfig.NetworkMode, "network");
    return `/proc/${pid}/ns/net`;
  }
  return mode.kind === "host" ? undefined : record.sandbox?.netnsPath;
};

const initPathOf = (engine: Engine, record: ContainerRecord): string | undefined => {
  if (record.hostConfig.Init !== true) return undefined;
  if (engine.deps.initPath !== undefined) return engine.deps.initPath;
  throw new NaruError(
    "failed_precondition",
    "--init needs tini or catatonit on the host: apt-get install tini",
  );
};

/** What was mounted for the container before its process. */
export interface StartMounts {
  /** As the runtime names the root. */
  readonly rootfs: string;
  /** The same tree as this process reaches it. */
  readonly rootPath: string;
  readonly userMounts: readonly RuntimeMount[];
  readonly shmPath: string | undefined;
}

export const runtimeConfigOf = (
  engine: Engine,
  record: ContainerRecord,
  { rootfs, rootPath, userMounts, shmPath }: StartMounts,
): RuntimeConfig => {
  const { deps } = engine;
  const { hostConfig, config } = record;
  const capabilities = capabilitiesOf(deps.facts, hostConfig);
  const security = parseSecurityOptions(hostConfig.SecurityOpt, hostConfig.Privileged);
  const { devices, rules } = runtimeDevices(hostConfig);
  const user = userOf(engine, record, rootPath, config.User);
  ensureWorkingDirectory(deps.kernel, rootPath, config.WorkingDir);
  const pid = joinedPid(engine, hostConfig.PidMode, "PID");
  const ipc = joinedPid(engine, hostConfig.IpcMode, "IPC");
  return buildRuntimeConfig({
    container: record,
    linkedEnv: linkedEnv(engine, record),
    rootfs,
    user,
    capabilities,
    security,
    seccomp: deps.seccomp.forContainer(hostConfig.Runtime, security.seccomp, capabilities),
    devices,
    deviceRules: rules,
    deviceNumberOf,
    userMounts,
    files: containerFiles(engine, record),
    shmPath,
    hasHostMqueue: existsSync("/dev/mqueue"),
    initPath: initPathOf(engine, record),
    cgroupsPath: engine.cgroupOf(record),
    isCgroupV2: deps.facts.isCgroupV2,
    networkPath: networkPathOf(engine, record),
    joined: {
      ...(pid === undefined ? {} : { pid: `/proc/${pid}/ns/pid` }),
      ...(ipc === undefined ? {} : { ipc: `/proc/${ipc}/ns/ipc` }),
    },
    inheritedOomScoreAdj: deps.facts.oomScoreAdj,
    rlimits: rlimitsOf(deps.kernel, hostConfig).filter((rlimit) => !isSetLate(rlimit)),
    consoleSize: hostConfig.ConsoleSize,
  });
};
