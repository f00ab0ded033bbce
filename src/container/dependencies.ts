/** What the container room is handed by the daemon; each part as narrow as it is needed here. */
import type { Logger } from "#lib/log.ts";
import type { Images } from "#image/image.ts";
import type { CgroupKernel } from "#kernel/cgroup-kernel.ts";
import type { Volumes } from "#volume/volume.ts";
import type { Kernel } from "#kernel/kernel.ts";
import type { ContainerRows } from "#metadata/containers.ts";
import type { TrashRows } from "#metadata/trash.ts";
import type { NetworkService } from "#network/network.ts";
import type { Runtime } from "#runtime/runtime.ts";
import type { Snapshots } from "#snapshot/snapshot.ts";
import type { Events } from "#container/containers.ts";
import type { HostFacts } from "#container/normalize-host.ts";
import type { PathStat } from "#spec/docker/container.ts";

/** `docker cp` on a mounted root; nothing resolves outside of it (snapshot/archive.ts). */
export interface ArchivesForContainers {
  statPath(rootfs: string, path: string): PathStat;
  readArchive(rootfs: string, path: string, signal: AbortSignal): ReadableStream<Uint8Array>;
  writeArchive(
    rootfs: string,
    path: string,
    tar: AsyncIterable<Uint8Array>,
    options: { noOverwriteDirNonDir: boolean; copyUidGid: boolean },
  ): Promise<void>;
  /** The whole tree as a tar. */
  exportTree(rootfs: string, signal: AbortSignal): ReadableStream<Uint8Array>;
}

export type VolumesForContainers = Pick<
  Volumes,
  "prepare" | "adopt" | "runtimeMounts" | "releaseMounts" | "forget"
>;

export interface SeccompForContainers {
  /**
   * How the filter gets into config.json for this runtime: annotations (a compiled program) or
   * the linux.seccomp object. `profile`: undefined = naru's own, "unconfined", or JSON text.
   */
  forContainer(
    runtimeName: string,
    profile: string | undefined,
    capabilities: readonly string[],
  ): { readonly annotations?: Record<string, string>; readonly seccomp?: object };
}

export interface ContainerPaths {
  /** `<dataRoot>/containers` */
  readonly containers: string;
  /** `<execRoot>/bundles` */
  readonly bundles: string;
}

export interface ContainerDependencies {
  readonly rows: ContainerRows;
  readonly trash: TrashRows;
  readonly events: Events;
  readonly images: Pick<Images, "get" | "provide" | "createFromLayer" | "admit" | "admitAgain">;
  readonly snapshots: Snapshots;
  readonly archives: ArchivesForContainers;
  readonly volumes: VolumesForContainers;
  readonly network: NetworkService;
  readonly runtimes: ReadonlyMap<string, Runtime>;
  readonly seccomp: SeccompForContainers;
  readonly cgroups: CgroupKernel;
  readonly kernel: Kernel;
  readonly facts: HostFacts;
  readonly paths: ContainerPaths;
  /** A directory for files of work in progress, on the data root's file system. */
  readonly temporary: string;
  /** "/naru-ab12cd34": where containers' cgroups go when --cgroup-parent is not given. */
  readonly cgroupParent: string;
  /** Path of tini or catatonit on the host; undefined when neither is installed. */
  readonly initPath: string | undefined;
  readonly log: Logger;
}
