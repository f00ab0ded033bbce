/** Docker Engine API: the shapes of /version, /info and /system/df as they stand on the wire. */
import type { ContainerSummary } from "#spec/docker/container.ts";
import type { ImageSummary } from "#spec/docker/image.ts";
import type { VolumeResponse } from "#spec/docker/volume.ts";

/** The Docker release whose behaviour naru follows; told to clients that look for one. */
export const COMPATIBLE_ENGINE_VERSION = "28.5.2";

export interface VersionComponent {
  Name: string;
  Version: string;
  Details: Record<string, string>;
}

/** GET /version. */
export interface VersionResponse {
  Platform: { Name: string };
  Components: VersionComponent[];
  Version: string;
  ApiVersion: string;
  MinAPIVersion: string;
  GitCommit: string;
  GoVersion: string;
  Os: string;
  /** Go's GOARCH. */
  Arch: string;
  KernelVersion: string;
  Experimental?: boolean;
  BuildTime: string;
}

export interface RuntimeInfo {
  path?: string;
  runtimeArgs?: string[];
  /** Since API 1.44. */
  status?: Record<string, string>;
}

export interface CommitInfo {
  ID: string;
}

export interface IndexConfig {
  Name: string;
  Mirrors: string[];
  Secure: boolean;
  Official: boolean;
}

export interface RegistryConfig {
  IndexConfigs: Record<string, IndexConfig>;
  InsecureRegistryCIDRs: string[];
  Mirrors: string[];
}

export interface PluginsInfo {
  Volume: string[];
  Network: string[];
  Authorization: string[] | null;
  Log: string[];
}

/** What GET /info says about the machine and the engine, without what changes with each container. */
export interface SystemFacts {
  ID: string;
  Driver: string;
  DriverStatus: [string, string][];
  Plugins: PluginsInfo;
  MemoryLimit: boolean;
  SwapLimit: boolean;
  CpuCfsPeriod: boolean;
  CpuCfsQuota: boolean;
  CPUShares: boolean;
  CPUSet: boolean;
  PidsLimit: boolean;
  IPv4Forwarding: boolean;
  Debug: boolean;
  NFd: number;
  OomKillDisable: boolean;
  NGoroutines: number;
  LoggingDriver: string;
  CgroupDriver: "cgroupfs" | "systemd" | "none";
  CgroupVersion: "1" | "2";
  NEventsListener: number;
  KernelVersion: string;
  OperatingSystem: string;
  OSVersion: string;
  OSType: string;
  /** `uname -m`: "x86_64". */
  Architecture: string;
  IndexServerAddress: string;
  RegistryConfig: RegistryConfig;
  NCPU: number;
  /** Bytes. */
  MemTotal: number;
  GenericResources: null;
  DockerRootDir: string;
  HttpProxy: string;
  HttpsProxy: string;
  NoProxy: string;
  Name: string;
  Labels: string[];
  ExperimentalBuild: boolean;
  ServerVersion: string;
  Runtimes: Record<string, RuntimeInfo>;
  DefaultRuntime: string;
  LiveRestoreEnabled: boolean;
  Isolation: string;
  InitBinary: string;
  ContainerdCommit: CommitInfo;
  RuncCommit: CommitInfo;
  InitCommit: CommitInfo;
  /** "name=seccomp,profile=builtin". */
  SecurityOptions: string[];
  ProductLicense?: string;
  DefaultAddressPools?: { Base: string; Size: number }[];
  /** Since API 1.49. */
  FirewallBackend?: { Driver: string; Info?: [string, string][] };
  CDISpecDirs: string[];
  Warnings: string[] | null;
}

export interface SwarmInfo {
  NodeID: "";
  NodeAddr: "";
  LocalNodeState: "inactive";
  ControlAvailable: false;
  Error: "";
  RemoteManagers: null;
}

/** GET /info. */
export interface InfoResponse extends SystemFacts {
  Containers: number;
  ContainersRunning: number;
  ContainersPaused: number;
  ContainersStopped: number;
  Images: number;
  SystemTime: string;
  Swarm: SwarmInfo;
}

export interface BuildCacheRecord {
  ID: string;
  Parents?: string[];
  Type: string;
  Description: string;
  InUse: boolean;
  Shared: boolean;
  /** Bytes. */
  Size: number;
  CreatedAt: string;
  LastUsedAt: string | null;
  UsageCount: number;
}

/** GET /system/df; a kind that was not asked for is absent. */
export interface DiskUsageResponse {
  /** Bytes of all layers, each counted once. */
  LayersSize?: number;
  Images?: ImageSummary[];
  Containers?: ContainerSummary[];
  Volumes?: VolumeResponse[];
  BuildCache?: BuildCacheRecord[];
  /** Below API 1.42. */
  BuilderSize?: number;
}
