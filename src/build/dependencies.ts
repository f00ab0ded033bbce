/** What this room is handed by the daemon, each part as narrow as it is needed here. */
import type { Entitlement } from "#build/entitlements.ts";
import type { LayerChildren } from "#build/op/layer-children.ts";
import type { Images } from "#image/image.ts";
import type { Logger } from "#lib/log.ts";
import type { Kernel } from "#kernel/kernel.ts";
import type { BuildCacheRows } from "#metadata/build-cache.ts";
import type { BuildHistoryRows } from "#metadata/build-history.ts";
import type { NetworkService } from "#network/network.ts";
import type { Runtime } from "#runtime/runtime.ts";
import type { Snapshots } from "#snapshot/snapshot.ts";
import type { HostConfig } from "#spec/docker/host-config.ts";
import type { RuntimeConfig, RuntimeMount } from "#spec/runtime/config.ts";
import type { ProxyConfig } from "#remote/remote.ts";

/** A step's process, held as a container would be. */
export interface StepProcess {
  readonly id: string;
  /** The mounted, writable root. */
  readonly rootfs: string;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly user: string;
  readonly hostname: string;
  readonly isTty: boolean;
  /** undefined = the host's. */
  readonly networkPath: string | undefined;
  readonly files: readonly { readonly destination: string; readonly source: string }[];
  readonly mounts: readonly RuntimeMount[];
  readonly hostConfig: Partial<HostConfig>;
  readonly cgroupsPath: string;
}

export interface StepConfigs {
  /** Throws invalid_argument for users and limits that do not hold. */
  configOf(process: StepProcess): RuntimeConfig;
  /** `spec` "user", "uid:gid" …, by the files of a root. */
  userOf(rootfs: string, spec: string): { readonly uid: number; readonly gid: number };
}

export interface BuildPaths {
  /** On the data root: contexts and downloads of running builds. */
  readonly work: string;
  /** On the data root: contexts that stay between builds. */
  readonly contexts: string;
  /** On the data root: what `RUN --mount=type=cache` keeps. */
  readonly cacheMounts: string;
  /** On the data root: what finished builds said. */
  readonly history: string;
  /** On the exec root: one directory for each running step. */
  readonly bundles: string;
}

export interface BuildDependencies {
  readonly rows: BuildCacheRows;
  readonly historyRows: BuildHistoryRows;
  readonly images: Pick<
    Images,
    "find" | "get" | "admit" | "list" | "provide" | "pull" | "register" | "collect" | "bundles"
  >;
  readonly snapshots: Snapshots;
  readonly network: Pick<NetworkService, "acquire" | "release" | "hostGateway">;
  readonly runtime: Pick<
    Runtime,
    | "run"
    | "sweepRuns"
    | "create"
    | "start"
    | "attach"
    | "resize"
    | "exec"
    | "delete"
    | "onExit"
    | "pastExit"
  >;
  readonly configs: StepConfigs;
  readonly kernel: Kernel;
  readonly paths: BuildPaths;
  /** What clients may be granted when they ask for it. */
  readonly entitlements: ReadonlySet<Entitlement>;
  /** Where steps' cgroups go: "/naru-ab12cd34". */
  readonly cgroupParent: string;
  /** argv that starts `runBuildWorkerProcess`; the job follows as one more argument. */
  readonly workerCommand: readonly string[];
  readonly layerChildren: LayerChildren;
  /** For what ADD and remote contexts bring. */
  readonly proxy: ProxyConfig;
  readonly log: Logger;
}
