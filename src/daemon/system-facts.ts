/** What /version and /info say of this machine and this engine. */
import { existsSync, readFileSync, statfsSync } from "node:fs";
import { arch, cpus, hostname, release, totalmem } from "node:os";
import { REVISION, VERSION } from "#lib/version.ts";
import type { CgroupKernel } from "#kernel/cgroup-kernel.ts";
import { readSysctl } from "#kernel/sysctl.ts";
import type { DaemonConfig } from "#daemon/config.ts";
import type { NewLayers } from "#snapshot/snapshot.ts";
import type { Tools } from "#daemon/tools.ts";
import { API_VERSION_MAX, API_VERSION_MIN } from "#spec/docker/api-version.ts";
import {
  COMPATIBLE_ENGINE_VERSION,
  type SystemFacts,
  type VersionResponse,
} from "#spec/docker/system.ts";

const GO_ARCH: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };
const MACHINE: Readonly<Record<string, string>> = { x64: "x86_64", arm64: "aarch64" };

const osRelease = (): { name: string; version: string } => {
  const text = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  const field = (key: string): string | undefined =>
    new RegExp(`^${key}="?([^"\\n]*)"?$`, "m").exec(text)?.[1];
  return { name: field("PRETTY_NAME") ?? "Linux", version: field("VERSION_ID") ?? "" };
};

export const versionResponse = (tools: Tools): VersionResponse => ({
  Platform: { Name: `naru ${VERSION}` },
  Components: [
    {
      Name: "Engine",
      Version: COMPATIBLE_ENGINE_VERSION,
      Details: {
        ApiVersion: API_VERSION_MAX,
        Arch: GO_ARCH[arch()] ?? arch(),
        BuildTime: "",
        Experimental: "false",
        GitCommit: REVISION,
        GoVersion: `bun ${Bun.version}`,
        KernelVersion: release(),
        MinAPIVersion: API_VERSION_MIN,
        Os: "linux",
      },
    },
    { Name: "naru", Version: VERSION, Details: { GitCommit: REVISION } },
    {
      Name: tools.defaultRuntime,
      Version: "",
      Details: { Path: tools.runtimes.get(tools.defaultRuntime) ?? "" },
    },
  ],
  Version: COMPATIBLE_ENGINE_VERSION,
  ApiVersion: API_VERSION_MAX,
  MinAPIVersion: API_VERSION_MIN,
  GitCommit: REVISION,
  GoVersion: `bun ${Bun.version}`,
  Os: "linux",
  Arch: GO_ARCH[arch()] ?? arch(),
  KernelVersion: release(),
  BuildTime: "",
});

/** statfs(2) f_type, in Docker's names. */
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  0xef53: "extfs",
  0x58465342: "xfs",
  0x9123683e: "btrfs",
  0x01021994: "tmpfs",
  0x2fc12fc1: "zfs",
  0xf2f52010: "f2fs",
};

const backingFileSystem = (path: string): string => {
  const { type } = statfsSync(path);
  return FILE_SYSTEMS[type] ?? `0x${type.toString(16)}`;
};

const limits = (cgroups: CgroupKernel) => {
  const has = (controller: string): boolean => cgroups.controllers.has(controller);
  return {
    MemoryLimit: has("memory"),
    SwapLimit: has("memory"),
    CpuCfsPeriod: has("cpu"),
    CpuCfsQuota: has("cpu"),
    CPUShares: has("cpu"),
    CPUSet: has("cpuset"),
    PidsLimit: has("pids"),
    OomKillDisable: cgroups.mode !== "v2",
  };
};

const PLUGINS: SystemFacts["Plugins"] = {
  Volume: ["local"],
  Network: ["bridge", "host", "macvlan", "null"],
  Authorization: null,
  Log: ["json-file", "local", "none"],
};

const registriesOf = ({ remote }: DaemonConfig["registries"]): SystemFacts["RegistryConfig"] => {
  const mirrors = remote.mirrors.map((mirror) => `${mirror.replace(/\/+$/, "")}/`);
  const hosts = remote.insecure.filter((entry) => !entry.includes("/"));
  return {
    IndexConfigs: {
      "docker.io": { Name: "docker.io", Mirrors: mirrors, Secure: true, Official: true },
      ...Object.fromEntries(
        hosts.map((Name) => [Name, { Name, Mirrors: [], Secure: false, Official: false }]),
      ),
    },
    InsecureRegistryCIDRs: [
      "::1/128",
      "127.0.0.0/8",
      ...remote.insecure.filter((entry) => entry.includes("/")),
    ],
    Mirrors: mirrors,
  };
};

/** Name and password of a proxy are nobody's business. */
const withoutLogin = (proxy: string): string => proxy.replace(/\/\/[^/@]*@/, "//xxxxx:xxxxx@");

export const systemFacts = (
  id: string,
  config: DaemonConfig,
  tools: Tools,
  cgroups: CgroupKernel,
  watchers: number,
  layers: NewLayers,
): SystemFacts => {
  const os = osRelease();
  const runtimes = [...tools.runtimes].map(([name, path]) => [name, { path }] as const);
  return {
    ID: id,
    Driver: "overlay2",
    DriverStatus: [
      ["Backing Filesystem", backingFileSystem(config.dataRoot)],
      ["Supports d_type", "true"],
      ["Native Overlay Diff", "true"],
      ["New Layers", `${layers.form} (${layers.reason})`],
    ],
    Plugins: PLUGINS,
    ...limits(cgroups),
    IPv4Forwarding: readSysctl("net.ipv4.ip_forward") === "1",
    Debug: config.logLevel === "debug",
    NFd: 0,
    NGoroutines: 0,
    LoggingDriver: config.logDriver,
    CgroupDriver: "cgroupfs",
    CgroupVersion: cgroups.mode === "v2" ? "2" : "1",
    NEventsListener: watchers,
    KernelVersion: release(),
    OperatingSystem: os.name,
    OSVersion: os.version,
    OSType: "linux",
    Architecture: MACHINE[arch()] ?? arch(),
    IndexServerAddress: "https://index.docker.io/v1/",
    RegistryConfig: registriesOf(config.registries),
    NCPU: cpus().length,
    MemTotal: totalmem(),
    GenericResources: null,
    DockerRootDir: config.dataRoot,
    HttpProxy: withoutLogin(config.registries.remote.proxy.http),
    HttpsProxy: withoutLogin(config.registries.remote.proxy.https),
    NoProxy: config.registries.remote.proxy.none,
    Name: hostname(),
    Labels: [...config.labels],
    ExperimentalBuild: false,
    ServerVersion: COMPATIBLE_ENGINE_VERSION,
    Runtimes: Object.fromEntries(runtimes),
    DefaultRuntime: tools.defaultRuntime,
    LiveRestoreEnabled: true,
    Isolation: "",
    InitBinary: tools.init ?? "",
    ContainerdCommit: { ID: "" },
    RuncCommit: { ID: "" },
    InitCommit: { ID: "" },
    SecurityOptions: [
      `name=seccomp,profile=${config.seccompProfile ?? "builtin"}`,
      ...(cgroups.mode === "v2" ? ["name=cgroupns"] : []),
    ],
    FirewallBackend: { Driver: "nftables" },
    CDISpecDirs: [],
    Warnings: null,
  };
};
