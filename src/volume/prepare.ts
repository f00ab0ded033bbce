/** A container's mounts at its creation: wishes become volumes and mount points. */
import { existsSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import type { MountPoint } from "#spec/docker/container.ts";
import type { VolumeCreateRequest } from "#spec/docker/volume.ts";
import { type CopyUpKernel, copyUp } from "#volume/copy-up.ts";
import type { HostMounts } from "#volume/host-mounts.ts";
import type { BindWish, VolumeWish } from "#volume/mount-spec.ts";
import { type ContainerMount, resolveMounts } from "#volume/mounts.ts";
import { tmpfsMounts } from "#volume/runtime-mounts.ts";
import { tmpfsOptionsOfMount } from "#volume/tmpfs.ts";
import type { VolumeStore } from "#volume/store.ts";
import type { PrepareRequest, PreparedMounts, VolumeRecord } from "#volume/volume.ts";

export interface PrepareParts {
  readonly store: VolumeStore;
  readonly hostMounts: HostMounts;
  readonly kernel: CopyUpKernel;
}

const requireBindSource = (wish: BindWish): void => {
  if (wish.createsSource || existsSync(wish.source)) return;
  throw new NaruError(
    "invalid_argument",
    `invalid mount config for type "bind": bind source path does not exist: ${wish.source}`,
  );
};

const createRequest = (wish: VolumeWish): VolumeCreateRequest => ({
  ...(wish.name === undefined ? {} : { Name: wish.name }),
  Driver: wish.driver,
  DriverOpts: { ...wish.driverOptions },
  Labels: { ...wish.labels },
});

const volumePoint = (wish: VolumeWish, record: VolumeRecord, source: string): MountPoint => ({
  Type: "volume",
  Name: record.name,
  Source: source,
  Destination: wish.destination,
  Driver: "local",
  // Docker shows "z" for a volume that was named or asked for by --mount, nothing for a VOLUME.
  Mode: wish.mode || (wish.name === undefined ? "" : "z"),
  RW: !wish.isReadOnly,
  Propagation: "",
});

const pointOf = (mount: Exclude<ContainerMount, VolumeWish>): MountPoint => {
  if (mount.type === "lent") return mount.point;
  const base = {
    Type: mount.type,
    Source: mount.type === "bind" ? mount.source : mount.type === "image" ? mount.reference : "",
    Destination: mount.destination,
    Mode: mount.mode,
    RW: !mount.isReadOnly,
    Propagation: mount.type === "bind" ? mount.propagation : "",
  };
  return base;
};

/** Fills the volume, mounted for the time of it when it has mount options. */
const fill = async (
  parts: PrepareParts,
  record: VolumeRecord,
  request: PrepareRequest,
  destination: string,
): Promise<void> => {
  const { store, hostMounts, kernel } = parts;
  const borrower = `copy-up-${request.containerId}`;
  await hostMounts.activate(record, borrower);
  try {
    await copyUp(kernel, store.mountpoint(record.name), request.rootfs, destination);
  } finally {
    hostMounts.release(borrower);
  }
};

export const prepareMounts = async (
  parts: PrepareParts,
  request: PrepareRequest,
): Promise<PreparedMounts> => {
  const { store } = parts;
  const { hostConfig, config, containerId } = request;
  const mounts = resolveMounts({
    binds: hostConfig.Binds ?? [],
    mounts: hostConfig.Mounts ?? [],
    tmpfs: hostConfig.Tmpfs ?? {},
    volumesFrom: hostConfig.VolumesFrom ?? [],
    volumes: Object.keys(config.Volumes ?? {}),
    volumeDriver: hostConfig.VolumeDriver,
    mountsOf: request.mountsOf,
  });
  // Refuse wrong options now, not at start.
  tmpfsMounts(hostConfig);
  for (const { TmpfsOptions } of hostConfig.Mounts ?? []) tmpfsOptionsOfMount(TmpfsOptions, false);
  for (const mount of mounts) if (mount.type === "bind") requireBindSource(mount);

  await using undo = new AsyncDisposableStack();
  const points: MountPoint[] = [];
  const anonymous: string[] = [];
  for (const mount of mounts) {
    if (mount.type !== "volume") {
      const point = pointOf(mount);
      if (point.Type === "volume" && point.Name !== undefined) {
        const { Name: name } = point;
        store.use(name, containerId);
        undo.defer(() => store.unuse(name, containerId));
      }
      points.push(point);
      continue;
    }
    const isNew = mount.name === undefined || store.find(mount.name) === undefined;
    const record = store.create(createRequest(mount));
    if (isNew) undo.defer(() => store.remove(record.name, { force: true }));
    store.use(record.name, containerId);
    undo.defer(() => store.unuse(record.name, containerId));
    if (mount.name === undefined) anonymous.push(record.name);
    points.push(volumePoint(mount, record, store.mountpoint(record.name)));
    // oxlint-disable-next-line no-await-in-loop -- a parent is filled before what lies below it
    if (mount.isCopiedUp) await fill(parts, record, request, mount.destination);
  }
  undo.move();
  return { points, anonymous };
};
