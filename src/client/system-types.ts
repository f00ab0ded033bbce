/** Answers about the whole engine: version, info, disk use, prunes (wire spelling kept). */
import type { ContainerSummary } from "#spec/docker/container.ts";
import type { ImageSummary } from "#spec/docker/image.ts";
import type { VolumeResponse } from "#spec/docker/volume.ts";

export interface VersionResponse {
  Platform?: { Name: string };
  Components?: { Name: string; Version: string; Details?: Record<string, string> | null }[];
  Version: string;
  ApiVersion: string;
  MinAPIVersion?: string;
  GitCommit?: string;
  GoVersion?: string;
  Os: string;
  Arch: string;
  KernelVersion?: string;
  Experimental?: boolean;
  BuildTime?: string;
}

/** GET /info; what else the engine tells is kept and can be shown by `--format`. */
export interface InfoResponse {
  ID: string;
  Containers: number;
  ContainersRunning: number;
  ContainersPaused: number;
  ContainersStopped: number;
  Images: number;
  Driver: string;
  DriverStatus: [string, string][] | null;
  Name: string;
  ServerVersion: string;
  OperatingSystem: string;
  OSType: string;
  Architecture: string;
  KernelVersion: string;
  NCPU: number;
  MemTotal: number;
  DockerRootDir: string;
  LoggingDriver: string;
  CgroupDriver: string;
  CgroupVersion?: string;
  Plugins?: { Volume?: string[] | null; Network?: string[] | null; Log?: string[] | null };
  Runtimes?: Record<string, { path?: string }>;
  DefaultRuntime?: string;
  InitBinary?: string;
  SecurityOptions?: string[] | null;
  Debug?: boolean;
  ExperimentalBuild?: boolean;
  LiveRestoreEnabled?: boolean;
  RegistryConfig?: {
    InsecureRegistryCIDRs?: string[] | null;
    Mirrors?: string[] | null;
    IndexConfigs?: Record<string, { Secure?: boolean } | undefined>;
  } | null;
  Labels?: string[] | null;
  HttpProxy?: string;
  HttpsProxy?: string;
  NoProxy?: string;
  Swarm?: { LocalNodeState?: string };
  Warnings?: string[] | null;
}

export interface BuildCacheRecord {
  ID: string;
  Type: string;
  Description?: string;
  InUse: boolean;
  Shared: boolean;
  Size: number;
  CreatedAt: string;
  LastUsedAt?: string | null;
  UsageCount: number;
}

export interface SystemDfResponse {
  LayersSize: number;
  Images: ImageSummary[] | null;
  Containers: ContainerSummary[] | null;
  Volumes: VolumeResponse[] | null;
  BuildCache: BuildCacheRecord[] | null;
}

export interface PruneResponse {
  ContainersDeleted?: string[] | null;
  ImagesDeleted?: { Untagged?: string; Deleted?: string }[] | null;
  VolumesDeleted?: string[] | null;
  NetworksDeleted?: string[] | null;
  CachesDeleted?: string[] | null;
  SpaceReclaimed?: number;
}

/** GET /containers/{id}/stats. */
export interface StatsResponse {
  id?: string;
  name?: string;
  read: string;
  preread: string;
  pids_stats?: { current?: number };
  cpu_stats: CpuStats;
  precpu_stats: CpuStats;
  memory_stats?: { usage?: number; limit?: number; stats?: Record<string, number> };
  blkio_stats?: { io_service_bytes_recursive?: { op: string; value: number }[] | null };
  networks?: Record<string, { rx_bytes: number; tx_bytes: number }>;
}

export interface CpuStats {
  cpu_usage?: { total_usage?: number; percpu_usage?: number[] | null };
  system_cpu_usage?: number;
  online_cpus?: number;
}

/** naru's own: something that was removed and can be brought back. */
export interface TrashItem {
  Id: string;
  Batch: string;
  Kind: "volume" | "container" | "image";
  Key: string;
  Name: string;
  RemovedAt: string;
  ExpiresAt: string;
  Size: number;
}

export type TrashName = Pick<TrashItem, "Kind" | "Name">;

/** A line of POST /naru/system/check. */
export type CheckLine =
  | { kind: "progress"; subject: string; id: string; sizeBytes: number }
  | { kind: "problem"; subject: string; id: string; problem: string; outcome: string }
  | { kind: "end"; checked: number; problems: number; left: number }
  | { kind?: never; errorDetail: { message: string } };
