/** What a store finds on disk when it is opened, and what it sweeps away. */
import { existsSync, mkdirSync, readFileSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { basename } from "node:path";
import { toNaruError } from "#lib/errors.ts";
import { spreadChildren } from "#lib/spread-directory.ts";
import type { Logger } from "#lib/log.ts";
import type { MountKernel } from "#kernel/kernel.ts";
import type { ProbeFailure } from "#snapshot/erofs-probe.ts";
import type { Background } from "#snapshot/background.ts";
import { type Layout, type StoredLayer, readLayer } from "#snapshot/layout.ts";
import type { ActiveSnapshot } from "#snapshot/snapshot.ts";
import { parseDigest } from "#spec/image/digest.ts";

export interface Found {
  readonly layers: StoredLayer[];
  readonly actives: ActiveSnapshot[];
  /** Ids of the active snapshots whose tree is mounted. */
  readonly mounted: string[];
}

/** Link of an active snapshot to its parent; made last, so an active without one is half made. */
export const PARENT_LINK = "parent";
export const NO_PARENT = "none";
/** Before the parent's name in the link of those that stand on the store's ground. */
export const GROUNDED = "+";

export const currentBootId = (): string =>
  readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();

export const makeDirectories = (layout: Layout): void => {
  const { layers, active, ingest, views, trash, empty } = layout;
  const isNew = !existsSync(ingest);
  mkdirSync(layout.root, { recursive: true, mode: 0o711 });
  for (const path of [layers, active, ingest, views, trash]) {
    mkdirSync(path, { recursive: true, mode: 0o711 });
  }
  for (const path of empty) mkdirSync(path, { recursive: true, mode: 0o755 });
  if (isNew) spreadChildren(ingest, active);
};

/**
 * A layer whose files were not yet known to be on disk survives the death of the daemon, but after a
 * reboot it may be hollow: it goes, and is unpacked again from its blob.
 */
const isTrusted = (layer: StoredLayer, bootId: string): boolean =>
  layer.unflushedBootId === undefined || layer.unflushedBootId === bootId;

const scanLayers = (
  layout: Layout,
  background: Background,
  log: Logger,
  probe: () => ProbeFailure | undefined,
): StoredLayer[] => {
  const bootId = currentBootId();
  const layers: StoredLayer[] = [];
  for (const name of readdirSync(layout.layers)) {
    const path = `${layout.layers}/${name}`;
    try {
      const layer = readLayer(path);
      const { chainId } = layer;
      const failure = layer.form === "erofs" ? probe() : undefined;
      if (!isTrusted(layer, bootId)) {
        log.warn("a layer was not on disk when the machine stopped", { chainId });
      } else if (failure?.isLasting === true) {
        // Its image keeps the blob, and unpacks it again in the form that this kernel takes.
        log.warn("a layer was made for another kernel", { chainId, failure: failure.reason });
      } else {
        layers.push(layer);
        continue;
      }
    } catch (error) {
      log.error("a layer is unreadable and was removed", {
        path,
        error: toNaruError(error).message,
      });
    }
    background.discard(path);
  }
  return layers;
};

const readActive = (layout: Layout, id: string): ActiveSnapshot | undefined => {
  const link = `${layout.active}/${id}/${PARENT_LINK}`;
  if (!existsSync(`${layout.active}/${id}/upper`)) return undefined;
  try {
    const target = readlinkSync(link);
    const isGrounded = target.startsWith(GROUNDED);
    const parent = isGrounded ? target.slice(GROUNDED.length) : target;
    return { id, parent: parent === NO_PARENT ? undefined : parseDigest(parent), isGrounded };
  } catch {
    return undefined; // Half made: swept by the caller.
  }
};

/** Throws nothing for a single damaged thing: it is logged and swept. */
export const scanStore = (
  layout: Layout,
  kernel: MountKernel,
  background: Background,
  log: Logger,
  /** Why the kernel cannot mount indexed layers; only asked where there are such. */
  probe: () => ProbeFailure | undefined,
): Found => {
  const mounts = new Set(kernel.mountsUnder(layout.root));
  for (const point of mounts) if (point.startsWith(`${layout.views}/`)) kernel.unmount(point);
  for (const name of readdirSync(layout.views)) {
    rmSync(`${layout.views}/${name}`, { recursive: true, force: true });
  }
  for (const name of readdirSync(layout.trash)) background.delete(`${layout.trash}/${name}`);
  for (const name of readdirSync(layout.ingest)) background.discard(`${layout.ingest}/${name}`);
  const layers = scanLayers(layout, background, log, probe);
  const actives: ActiveSnapshot[] = [];
  const mounted: string[] = [];
  for (const id of readdirSync(layout.active)) {
    const path = `${layout.active}/${id}`;
    const isMounted = mounts.has(`${path}/merged`);
    const active = readActive(layout, basename(id));
    if (active === undefined) {
      if (isMounted) kernel.unmount(`${path}/merged`);
      log.warn("a half-made writable layer was removed", { id });
      background.discard(path);
      continue;
    }
    actives.push(active);
    if (isMounted) mounted.push(id);
  }
  return { layers, actives, mounted };
};
