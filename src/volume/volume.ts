/**
 * The volume room's manual. A *volume* is a named directory that outlives containers; a *mount* is a
 * directory that a container sees: a volume, a directory of the host (bind), memory (tmpfs), or an
 * image's tree.
 *
 * Volumes live at `<dataRoot>/volumes/<name>/_data`; what is known of them is a row each. A row is
 * written after the directory and removed before it; a directory without a row is swept at `start`.
 *
 * Containers are told apart by id. A container *uses* its volumes from `prepare` (or `adopt`, after a
 * restart) until `forget`; a volume in use cannot be removed. Between `runtimeMounts` and
 * `releaseMounts` it is *running* on them: volumes with mount options stay mounted, image trees and
 * subpaths stay bound under `<execRoot>/mounts/<containerId>`.
 *
 * Errors: NaruError with Docker's words.
 */
import type { ContainerConfig } from "#spec/docker/container-config.ts";
import type { MountPoint } from "#spec/docker/container.ts";
import type { EventMessage } from "#spec/docker/event.ts";
import type { Filters } from "#spec/docker/filters.ts";
import type { HostConfig } from "#spec/docker/host-config.ts";
import type { VolumeCreateRequest, VolumeResponse } from "#spec/docker/volume.ts";
import type { TrashSource } from "#metadata/trash.ts";
import type { RuntimeMount } from "#spec/runtime/config.ts";

/** One row. */
export interface VolumeRecord {
  readonly name: string;
  /** RFC 3339 */
  readonly createdAt: string;
  readonly labels: Readonly<Record<string, string>>;
  /** type, device, o: mount(8)'s words. Empty = a plain directory. */
  readonly options: Readonly<Record<string, string>>;
  /** Made without a name, for one container; `prune` takes these first. */
  readonly isAnonymous: boolean;
  /** A rename under way: the directory may still stand at this name. */
  readonly movedFrom?: string;
}

/** The label by which clients know an anonymous volume. */
export const ANONYMOUS_LABEL = "com.docker.volume.anonymous";

export type VolumeEvent = Pick<EventMessage, "Type" | "Action" | "Actor">;

export interface PrepareRequest {
  readonly containerId: string;
  readonly config: ContainerConfig;
  readonly hostConfig: HostConfig;
  /** Mounts of the containers named by --volumes-from; throws not_found. */
  readonly mountsOf: (container: string) => readonly MountPoint[];
  /** The container's root, mounted for copy-up; called only when something is to be copied. */
  readonly rootfs: () => string;
}

export interface PreparedMounts {
  /** For inspect. */
  readonly points: readonly MountPoint[];
  /** Names of the volumes made for this container alone. */
  readonly anonymous: readonly string[];
}

export type ExportFormat = "tar" | "tar.zst" | "backup";

export interface ExportOptions {
  /** "backup": labels and name come along (backup-format.ts). */
  readonly format: ExportFormat;
  /** Containers that run on the volume stand still while it is read. */
  readonly isPaused: boolean;
  readonly signal?: AbortSignal;
}

export interface CopyRequest {
  readonly Name: string;
  /** Instead of those of the original. */
  readonly Labels?: Readonly<Record<string, string>>;
}

/** What this room asks of containers (`container/`, by the composition root). Ids it does not know are passed over. */
export interface VolumeUsers {
  /** Runs `work` while these stand still; they go on also when the daemon is killed meanwhile. */
  whilePaused<T>(containerIds: readonly string[], work: () => Promise<T>): Promise<T>;
  isRunning(containerId: string): boolean;
}

export interface Volumes {
  /** Sweeps what a dead daemon left half-made. Idempotent. */
  start(): Promise<void>;
  list(): readonly VolumeResponse[];
  /** Throws not_found "get X: no such volume". */
  get(name: string): VolumeResponse;
  /** Without a name: an anonymous one. A name that exists answers with what exists. */
  create(request: VolumeCreateRequest): Promise<VolumeResponse>;
  /**
   * Throws conflict while a container uses it. With `force` a missing volume is no error. What is removed here
   * and by `prune` goes to the trash, where that is on: out of sight at once, the name free, the files kept.
   */
  remove(
    name: string,
    options: { readonly force: boolean; readonly batch?: string },
  ): Promise<void>;
  /** Unused anonymous volumes, or all unused with filter `all`; `label` and `label!` narrow. */
  prune(
    filters: Filters,
    options?: { readonly batch?: string },
  ): Promise<{ VolumesDeleted: string[]; SpaceReclaimed: number }>;
  usedNames(): ReadonlySet<string>;
  /** Throws conflict while a container has it, and already_exists. */
  rename(name: string, newName: string): VolumeResponse;
  /**
   * A new volume with the same content and labels. It is a plain directory, also when the original is a
   * mount of something else. Throws already_exists; nothing is left of a copy that failed.
   */
  clone(
    name: string,
    request: CopyRequest,
    options: { readonly isPaused: boolean; readonly signal?: AbortSignal },
  ): Promise<VolumeResponse>;
  /** When it resolves the volume has been found; the rest is read as the answer is taken. */
  export(name: string, options: ExportOptions): Promise<AsyncIterable<Uint8Array>>;
  /**
   * Unpacks a tar (plain or compressed) into a volume, over what is there. Throws conflict while a container
   * runs on it. What was written before an error stays.
   */
  import(name: string, tar: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void>;
  /**
   * Makes a new volume of a backup, or of any tar when a name is given. The volume appears when it is complete.
   * Throws already_exists, invalid_argument.
   */
  restore(
    name: string | undefined,
    archive: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<VolumeResponse>;
  /** All volumes with `UsageData`: bytes of file contents, hard links counted once. Walks the trees. */
  usage(signal?: AbortSignal): Promise<VolumeResponse[]>;
  /** One volume with its `UsageData`. */
  sized(name: string, signal?: AbortSignal): Promise<VolumeResponse>;

  /** Validates the container's mounts and makes its volumes, filled from the image. Undone on a throw. */
  prepare(request: PrepareRequest): Promise<PreparedMounts>;
  /** After a restart: this container exists, with these mounts, and runs or not. */
  adopt(containerId: string, points: readonly MountPoint[], isRunning: boolean): void;
  /** After a restart, when all have been adopted: what stands mounted for nobody is unmounted. */
  settle(): void;
  /**
   * The mounts of config.json, parents before children. Makes host directories that -v names, and
   * mounts what must stand on the host; on a throw nothing stays mounted.
   */
  runtimeMounts(
    containerId: string,
    hostConfig: HostConfig,
    points: readonly MountPoint[],
  ): Promise<RuntimeMount[]>;
  /** The container has stopped. Idempotent. */
  releaseMounts(containerId: string): void;
  /** The container is gone; its anonymous volumes go too when nobody else uses them. Idempotent. */
  forget(
    containerId: string,
    points: readonly MountPoint[],
    removesAnonymous: boolean,
    /** With it the volumes can be brought back, as with `remove`. */
    batch?: string,
  ): Promise<void>;
  /** What was removed and can be brought back. */
  readonly removed: TrashSource;
  /** Unmounts everything and deletes every volume. */
  reset(): Promise<void>;
}

/** Where the trees of image mounts come from (`snapshot/`, by the composition root). */
export interface ImageTrees {
  /** A read-only mount of the image's tree; disposing unmounts it. Throws not_found. */
  view(reference: string): Promise<Disposable & { readonly path: string }>;
}
