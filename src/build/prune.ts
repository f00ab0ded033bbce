/** What the cache holds, and taking it away. */
import { statfsSync } from "node:fs";

import type { BuildCacheItem, PruneOptions } from "#build/build.ts";
import type { BuildDependencies } from "#build/dependencies.ts";
import type { KeptContexts } from "#build/kept-contexts.ts";
import type { CacheMounts } from "#build/op/cache-mounts.ts";
import type { Solver } from "#build/solver.ts";
import type { BuildCacheRow } from "#metadata/build-cache.ts";
import type { Digest } from "#spec/image/digest.ts";

/** The key's digits, as clients show ids. */
const idOf = (row: BuildCacheRow): string => row.key.replace("sha256:", "").slice(0, 25);

/** Layers that images stand on. */
const imageLayers = ({ images, snapshots }: BuildDependencies): Set<Digest> => {
  const layers = new Set<Digest>();
  for (const { Id } of images.list({ isAll: true, filters: new Map() })) {
    const { chainId } = images.get(Id);
    if (chainId === undefined || snapshots.layer(chainId) === undefined) continue;
    for (const layer of snapshots.chain(chainId)) layers.add(layer.chainId);
  }
  return layers;
};

const itemsOf = (dependencies: BuildDependencies, solver: Solver): BuildCacheItem[] => {
  solver.countUses();
  const shared = imageLayers(dependencies);
  const rows = dependencies.rows.all();
  const makers = new Map<Digest, BuildCacheRow>();
  for (const row of rows)
    if (row.hasLayer && row.chainId !== undefined) makers.set(row.chainId, row);
  return rows.map((row) => {
    const parent = row.parent === undefined ? undefined : makers.get(row.parent);
    return {
      id: idOf(row),
      parent: parent === undefined || parent === row ? "" : idOf(parent),
      kind: "regular",
      description: row.description,
      isInUse: row.chainId !== undefined && solver.isLayerHeld(row.chainId),
      isShared: row.chainId !== undefined && shared.has(row.chainId),
      sizeBytes: row.sizeBytes,
      createdAt: row.created,
      lastUsedAt: row.lastUsedAt,
      useCount: row.useCount,
    };
  });
};

/** Least recently used first. */
export const cacheUsage = async (
  dependencies: BuildDependencies,
  solver: Solver,
  cacheMounts: CacheMounts,
  kept: KeptContexts,
): Promise<readonly BuildCacheItem[]> =>
  [
    ...itemsOf(dependencies, solver),
    ...(await cacheMounts.list()),
    ...(await kept.list()),
  ].toSorted((a, b) => (a.lastUsedAt < b.lastUsedAt ? -1 : 1));

/** How much may stay; undefined = all that is wanted goes. */
const roomOf = (
  { paths }: BuildDependencies,
  { keepBytes, minFreeBytes }: PruneOptions,
  usedBytes: number,
): number | undefined => {
  if (minFreeBytes === undefined) return keepBytes;
  const { bavail, bsize } = statfsSync(paths.work);
  const missing = minFreeBytes - bavail * bsize;
  if (missing <= 0) return Math.max(usedBytes, keepBytes ?? 0);
  return Math.max(usedBytes - missing, keepBytes ?? 0, 0);
};

const isWanted = (item: BuildCacheItem, options: PruneOptions): boolean => {
  if (item.isInUse) return false;
  // What an image stands on takes no room of its own.
  if (item.isShared && !options.isAll) return false;
  if (options.ids.length > 0 && !options.ids.some((id) => item.id.startsWith(id))) return false;
  if (options.kinds.length > 0 && !options.kinds.includes(item.kind)) return false;
  return options.unusedSince === undefined || item.lastUsedAt < options.unusedSince;
};

/** Rows go first, then the layers that nobody else needs. */
export const pruneCache = async (
  dependencies: BuildDependencies,
  solver: Solver,
  cacheMounts: CacheMounts,
  kept: KeptContexts,
  options: PruneOptions,
): Promise<{ deleted: string[]; reclaimedBytes: number }> => {
  const items = await cacheUsage(dependencies, solver, cacheMounts, kept);
  let left = items.reduce((sum, item) => sum + (item.isShared ? 0 : item.sizeBytes), 0);
  const room = roomOf(dependencies, options, left);
  const deleted: string[] = [];
  let reclaimedBytes = 0;
  const gone = new Set<string>();
  for (const item of items.filter((one) => isWanted(one, options))) {
    if (room !== undefined && left <= room) break;
    if (item.kind === "exec.cachemount" && !cacheMounts.remove(item.id)) continue;
    if (item.kind === "source.local" && !kept.remove(item.id)) continue;
    gone.add(item.id);
    deleted.push(item.id);
    if (!item.isShared) {
      left -= item.sizeBytes;
      reclaimedBytes += item.sizeBytes;
    }
  }
  const { rows } = dependencies;
  rows.delete(
    rows
      .all()
      .filter((row) => gone.has(idOf(row)))
      .map((row) => row.key),
  );
  await dependencies.images.collect();
  return { deleted, reclaimedBytes };
};
