/** The volume room at work: see `volume.ts` for the contract. */
import { existsSync, mkdirSync, statSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import type { Logger } from "#lib/log.ts";
import type { FileKernel } from "#kernel/kernel.ts";
import type { QuotaKernel } from "#kernel/project-quota.ts";
import { type TrashRows, type TrashSource, newBatch } from "#metadata/trash.ts";
import type { VolumeRows } from "#metadata/volumes.ts";
import type { MountPoint } from "#spec/docker/container.ts";
import { type Filters, booleanFilter, matchesLabels } from "#spec/docker/filters.ts";
import type { HostConfig, Mount } from "#spec/docker/host-config.ts";
import type { VolumeCreateRequest, VolumeResponse } from "#spec/docker/volume.ts";
import type { RuntimeMount } from "#spec/runtime/config.ts";
import { diskUsage } from "#volume/disk-usage.ts";
import { HostMounts, type HostMountsKernel } from "#volume/host-mounts.ts";
import { mountFlags } from "#volume/local-options.ts";
import { byDepth } from "#volume/mounts.ts";
import { prepareMounts } from "#volume/prepare.ts";
import { removedVolumes } from "#volume/removed.ts";
import { bindOf, onFile, specOf, tmpfsMounts, tmpfsOf } from "#volume/runtime-mounts.ts";
import { type CopyParts, renameVolume } from "#volume/rename.ts";
import { VolumeStore } from "#volume/store.ts";
import type {
  ImageTrees,
  PrepareRequest,
  PreparedMounts,
  CopyRequest,
  ExportOptions,
  VolumeEvent,
  VolumeRecord,
  VolumeUsers,
  Volumes,
} from "#volume/volume.ts";

export interface VolumesOptions {
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly rows: VolumeRows;
  readonly kernel: HostMountsKernel & FileKernel;
  readonly quotas: QuotaKernel;
  readonly images: ImageTrees;
  readonly publish: (event: VolumeEvent) => void;
  readonly logger: Logger;
  readonly users: VolumeUsers;
  readonly trash: TrashRows;
}

export class LocalVolumes implements Volumes {
  readonly #options: VolumesOptions;
  readonly #store: VolumeStore;
  readonly #hostMounts: HostMounts;
  readonly removed: TrashSource;

  constructor(options: VolumesOptions) {
    const { dataRoot, execRoot, rows, kernel, quotas, publish, logger, trash } = options;
    this.#options = options;
    const root = `${dataRoot}/volumes`;
    this.#store = new VolumeStore({ root, rows, kernel, quotas, publish, logger, trash });
    this.removed = removedVolumes(this.#store);
    this.#hostMounts = new HostMounts({
      root: `${execRoot}/mounts`,
      kernel,
      mountpoint: (name) => this.#store.mountpoint(name),
    });
  }

  start(): Promise<void> {
    return this.#store.sweep();
  }

  list(): readonly VolumeResponse[] {
    return this.#store.list().map((record) => this.#response(record));
  }

  get(name: string): VolumeResponse {
    return this.#response(this.#store.get(name));
  }

  rename(name: string, newName: string): VolumeResponse {
    return this.#response(renameVolume(this.#copyParts(), name, newName));
  }

  async clone(
    name: string,
    request: CopyRequest,
    options: { readonly isPaused: boolean; readonly signal?: AbortSignal },
  ): Promise<VolumeResponse> {
    const { cloneVolume } = await import("#volume/copy-verbs.ts");
    return this.#response(await cloneVolume(this.#copyParts(), name, request, options));
  }

  async export(name: string, options: ExportOptions): Promise<AsyncIterable<Uint8Array>> {
    const { exportVolume } = await import("#volume/copy-verbs.ts");
    return exportVolume(this.#copyParts(), name, options);
  }

  async import(name: string, tar: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
    const { importVolume } = await import("#volume/copy-verbs.ts");
    await importVolume(this.#copyParts(), name, tar, signal);
  }

  async restore(
    name: string | undefined,
    archive: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<VolumeResponse> {
    const { restoreVolume } = await import("#volume/copy-verbs.ts");
    return this.#response(await restoreVolume(this.#copyParts(), name, archive, signal));
  }

  async create(request: VolumeCreateRequest): Promise<VolumeResponse> {
    return this.#response(this.#store.create(request));
  }

  async remove(
    name: string,
    options: { readonly force: boolean; readonly batch?: string },
  ): Promise<void> {
    this.#store.remove(name, { batch: newBatch(), ...options });
  }

  async prune(
    filters: Filters,
    { batch = newBatch() }: { readonly batch?: string } = {},
  ): Promise<{ VolumesDeleted: string[]; SpaceReclaimed: number }> {
    const takesAll = booleanFilter(filters, "all") ?? false;
    const unused = this.#store
      .list()
      .filter((record) => this.#store.usersOf(record.name).length === 0)
      .filter(
        (record) => (takesAll || record.isAnonymous) && matchesLabels(filters, record.labels),
      );
    const result = { VolumesDeleted: [] as string[], SpaceReclaimed: 0 };
    for (const record of unused) {
      // oxlint-disable-next-line no-await-in-loop -- one tree after the other keeps it gentle
      const size = await this.#sizeOf(record, undefined);
      // Somebody may have begun to use or removed it meanwhile.
      if (this.#store.find(record.name) !== record) continue;
      if (this.#store.usersOf(record.name).length > 0) continue;
      this.#store.remove(record.name, { force: true, batch });
      result.VolumesDeleted.push(record.name);
      result.SpaceReclaimed += size;
    }
    this.#options.publish({
      Type: "volume",
      Action: "prune",
      Actor: { ID: "", Attributes: { reclaimed: String(result.SpaceReclaimed) } },
    });
    return result;
  }

  usedNames(): ReadonlySet<string> {
    return new Set(
      this.#store
        .list()
        .map((record) => record.name)
        .filter((name) => this.#store.usersOf(name).length > 0),
    );
  }

  async usage(signal?: AbortSignal): Promise<VolumeResponse[]> {
    const result: VolumeResponse[] = [];
    for (const record of this.#store.list()) {
      // oxlint-disable-next-line no-await-in-loop -- one tree after the other keeps it gentle
      result.push(await this.#sized(record, signal));
    }
    return result;
  }

  sized(name: string, signal?: AbortSignal): Promise<VolumeResponse> {
    return this.#sized(this.#store.get(name), signal);
  }

  prepare(request: PrepareRequest): Promise<PreparedMounts> {
    const { kernel } = this.#options;
    return prepareMounts({ store: this.#store, hostMounts: this.#hostMounts, kernel }, request);
  }

  adopt(containerId: string, points: readonly MountPoint[], isRunning: boolean): void {
    for (const record of this.#recordsOf(points)) {
      this.#store.use(record.name, containerId);
      if (isRunning) this.#hostMounts.adopt(record, containerId);
    }
  }

  settle(): void {
    this.#hostMounts.settle(this.#store.list());
  }

  async runtimeMounts(
    containerId: string,
    hostConfig: HostConfig,
    points: readonly MountPoint[],
  ): Promise<RuntimeMount[]> {
    this.#hostMounts.release(containerId);
    await using undo = new AsyncDisposableStack();
    undo.defer(() => this.#hostMounts.release(containerId));
    const mounts = tmpfsMounts(hostConfig);
    for (const point of points) {
      // oxlint-disable-next-line no-await-in-loop -- undone together when one fails
      mounts.push(await this.#runtimeMount(containerId, hostConfig, point));
    }
    undo.move();
    return mounts.toSorted((a, b) => byDepth(a.destination, b.destination));
  }

  releaseMounts(containerId: string): void {
    this.#hostMounts.release(containerId);
  }

  async forget(
    containerId: string,
    points: readonly MountPoint[],
    removesAnonymous: boolean,
    batch?: string,
  ): Promise<void> {
    this.#hostMounts.release(containerId);
    for (const record of this.#recordsOf(points)) {
      this.#store.unuse(record.name, containerId);
      if (!removesAnonymous || !record.isAnonymous) continue;
      if (this.#store.usersOf(record.name).length > 0) continue;
      this.#store.remove(record.name, { force: true, ...(batch === undefined ? {} : { batch }) });
    }
  }

  async reset(): Promise<void> {
    this.#hostMounts.releaseAll();
    await this.#store.clear();
  }

  async #runtimeMount(
    containerId: string,
    hostConfig: HostConfig,
    point: MountPoint,
  ): Promise<RuntimeMount> {
    const spec = specOf(hostConfig, point.Destination);
    switch (point.Type) {
      case "bind":
        requireSource(point, spec === undefined || spec.BindOptions?.CreateMountpoint === true);
        return asItsSource(bindOf(point, spec, this.#bindSource(containerId, point, spec)));
      case "volume":
        return bindOf(
          point,
          spec,
          await this.#volumePath(containerId, point, spec?.VolumeOptions?.Subpath),
          mountFlags(this.#store.get(point.Name ?? "").options),
        );
      case "tmpfs":
        return tmpfsOf(point, spec);
      case "image": {
        using view = await this.#options.images.view(point.Source);
        const subpath = spec?.ImageOptions?.Subpath ?? "";
        return asItsSource(
          bindOf(point, spec, this.#hostMounts.bindInside(containerId, view.path, subpath)),
        );
      }
      case "npipe":
      case "cluster":
        throw new NaruError("not_implemented", `mounts of type "${point.Type}" are not supported`);
    }
  }

  #bindSource(containerId: string, point: MountPoint, spec: Mount | undefined): string {
    if (spec?.BindOptions?.NonRecursive !== true) return point.Source;
    return this.#hostMounts.bindInside(containerId, point.Source, "", true);
  }

  async #volumePath(
    containerId: string,
    point: MountPoint,
    subpath: string | undefined,
  ): Promise<string> {
    const record = this.#store.get(point.Name ?? "");
    await this.#hostMounts.activate(record, containerId);
    const path = this.#store.mountpoint(record.name);
    return subpath === undefined || subpath === ""
      ? path
      : this.#hostMounts.bindInside(containerId, path, subpath);
  }

  #copyParts(): CopyParts {
    const { kernel, users } = this.#options;
    return { store: this.#store, hostMounts: this.#hostMounts, kernel, users };
  }

  /** Records of the volumes among the mounts; those that are gone are left out. */
  #recordsOf(points: readonly MountPoint[]): VolumeRecord[] {
    return points.flatMap((point) => {
      const record = point.Type === "volume" ? this.#store.find(point.Name ?? "") : undefined;
      return record === undefined ? [] : [record];
    });
  }

  async #sized(record: VolumeRecord, signal: AbortSignal | undefined): Promise<VolumeResponse> {
    const Size = await this.#sizeOf(record, signal);
    const RefCount = this.#store.usersOf(record.name).length;
    return { ...this.#response(record), UsageData: { Size, RefCount } };
  }

  async #sizeOf(record: VolumeRecord, signal: AbortSignal | undefined): Promise<number> {
    try {
      return await diskUsage(this.#store.mountpoint(record.name), signal);
    } catch (error) {
      // Removed while we looked.
      if (this.#store.find(record.name) === undefined) return 0;
      throw error;
    }
  }

  #response(record: VolumeRecord): VolumeResponse {
    const labels = Object.keys(record.labels).length > 0 ? { ...record.labels } : null;
    const options = Object.keys(record.options).length > 0 ? { ...record.options } : null;
    return {
      CreatedAt: record.createdAt,
      Driver: "local",
      Labels: labels,
      Mountpoint: this.#store.mountpoint(record.name),
      Name: record.name,
      Options: options,
      Scope: "local",
    };
  }
}

/** -v makes the host's directory when it is missing; --mount does not. */
const requireSource = (point: MountPoint, createsSource: boolean): void => {
  if (existsSync(point.Source)) return;
  if (createsSource) {
    mkdirSync(point.Source, { recursive: true, mode: 0o755 });
    return;
  }
  throw new NaruError(
    "invalid_argument",
    `invalid mount config for type "bind": bind source path does not exist: ${point.Source}`,
  );
};

const asItsSource = (mount: RuntimeMount): RuntimeMount =>
  statSync(mount.source).isDirectory() ? mount : onFile(mount);

export const createVolumes = (options: VolumesOptions): Volumes => new LocalVolumes(options);
