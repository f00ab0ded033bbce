/** `image prune`: images that nothing names (default), or that nothing uses. */
import { type Catalog, createdNs, familiarRow } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import type { PruneResult } from "#image/image.ts";
import { removeImage } from "#image/remove.ts";
import { sweepBlobs } from "#image/sweep-blobs.ts";
import { nowNs } from "#lib/clock.ts";
import { hasCode } from "#lib/errors.ts";
import type { ImageRow } from "#metadata/images.ts";
import { newBatch } from "#metadata/trash.ts";
import { type Filters, booleanFilter, matchesLabels, singleFilter } from "#spec/docker/filters.ts";
import type { DeleteItem } from "#spec/docker/image.ts";
import { parseTimestamp } from "#spec/docker/timestamp.ts";
import { hexOf } from "#spec/image/digest.ts";

const OPTIONS = { isForced: false, isParentKept: false } as const;

/** An image in use is passed over: that is what prune is for. */
const tryRemove = async (
  dependencies: ImageDependencies,
  catalog: Catalog,
  name: string,
  batch: string,
): Promise<DeleteItem[]> => {
  try {
    return await removeImage(dependencies, catalog, name, { ...OPTIONS, batch });
  } catch (error) {
    if (hasCode(error, "conflict") || hasCode(error, "not_found")) return [];
    throw error;
  }
};

export const pruneImages = async (
  dependencies: ImageDependencies,
  catalog: Catalog,
  filters: Filters,
  signal?: AbortSignal,
  { batch = newBatch() }: { readonly batch?: string } = {},
): Promise<PruneResult> => {
  const { rows, layers } = dependencies;
  const isDanglingOnly = booleanFilter(filters, "dangling") ?? true;
  const now = nowNs();
  const until = singleFilter(filters, "until");
  const untilNs = until === undefined ? undefined : parseTimestamp(until, now);
  const parts = catalog.indexes.parts();
  const isCandidate = (row: ImageRow): boolean => {
    const names = rows.references(row.id);
    // A platform of an image with a name goes with it.
    if (names.length === 0 && parts.has(row.id)) return false;
    if (names.length === 0 && rows.children(row.id).length > 0) return false;
    if (isDanglingOnly && names.some((name) => name.tag !== undefined)) return false;
    if (untilNs !== undefined && createdNs(row) > untilNs) return false;
    return matchesLabels(filters, row.config.config?.Labels ?? {});
  };
  const sizes = new Map(layers.layers().map((layer) => [String(layer.chainId), layer.sizeBytes]));
  const deleted: DeleteItem[] = [];
  for (const row of [...rows.list()].filter(isCandidate)) {
    signal?.throwIfAborted();
    const names = rows.references(row.id).map(familiarRow);
    if (rows.get(row.id) === undefined) continue;
    for (const name of names.length === 0 ? [hexOf(row.id)] : names) {
      deleted.push(...(await tryRemove(dependencies, catalog, name, batch)));
    }
  }
  // Of pulls that were given up: who takes all that is not used does not mean to go on with them.
  const isAll = !isDanglingOnly && [...filters.keys()].every((key) => key === "dangling");
  const { content, leases } = dependencies;
  const left = isAll ? content.sweepPartials(0, (digest) => leases.isHeld("blob", digest)) : 0;
  const SpaceReclaimed = deleted.reduce(
    (sum, item) => sum + ("Deleted" in item ? (sizes.get(item.Deleted) ?? 0) : 0),
    left + sweepBlobs(dependencies, catalog),
  );
  dependencies.publish({
    Type: "image",
    Action: "prune",
    Actor: { ID: "", Attributes: { reclaimed: String(SpaceReclaimed) } },
  });
  return { ImagesDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed };
};
