/** Taking files away that no row, container or lease needs any more. */
import type { Catalog } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import { hasCode } from "#lib/errors.ts";
import type { ImageRow } from "#metadata/images.ts";
import { chainIds } from "#spec/image/chain-id.ts";
import type { Digest } from "#spec/image/digest.ts";

const chainsInUse = ({ rows }: ImageDependencies, catalog: Catalog): Set<Digest> =>
  new Set([...rows.list()].flatMap((row) => catalog.chain(row)));

const diffIdsInUse = ({ rows }: ImageDependencies): Set<Digest> =>
  new Set([...rows.list()].flatMap((row) => row.config.rootfs.diff_ids));

/** False when something still stands on the layer. */
const tryRemoveLayer = (dependencies: ImageDependencies, chainId: Digest): boolean => {
  const { layers, leases, users } = dependencies;
  if (leases.isHeld("layer", chainId) || users.isLayerHeld(chainId)) return false;
  try {
    layers.removeLayer(chainId);
    return true;
  } catch (error) {
    if (hasCode(error, "failed_precondition")) return false;
    throw error;
  }
};

/** Takes a layer away that was made for an image that did not come to be, unless somebody else wants it. */
export const discardLayer = (dependencies: ImageDependencies, chainId: Digest): void => {
  const isWanted = [...dependencies.rows.list()].some((row) =>
    chainIds(row.config.rootfs.diff_ids).includes(chainId),
  );
  if (!isWanted) tryRemoveLayer(dependencies, chainId);
};

/** Rows first, then the blobs that no other layer is stored in. */
const deleteLayerBlobs = (dependencies: ImageDependencies, diffIds: readonly Digest[]): void => {
  const { content, leases, rows } = dependencies;
  const blobs = diffIds.flatMap((diffId) => rows.layerBlobs(diffId));
  rows.transaction(() => {
    for (const diffId of diffIds) rows.deleteLayer(diffId);
  });
  for (const { digest } of blobs) {
    if (rows.layersOfBlob(digest).length > 0 || leases.isHeld("blob", digest)) continue;
    content.delete(digest);
  }
};

/** After `row` was deleted: removes what only it needed. Returns the chainIDs of the layers, topmost first. */
export const deleteFiles = async (
  dependencies: ImageDependencies,
  catalog: Catalog,
  row: ImageRow,
): Promise<Digest[]> => {
  const { content, layers, rows } = dependencies;
  const chains = chainsInUse(dependencies, catalog);
  const removed: Digest[] = [];
  for (const chainId of catalog.chain(row).toReversed()) {
    if (chains.has(chainId) || layers.layer(chainId) === undefined) continue;
    if (tryRemoveLayer(dependencies, chainId)) removed.push(chainId);
  }
  const needed = diffIdsInUse(dependencies);
  const unneeded = new Set(row.config.rootfs.diff_ids.filter((diffId) => !needed.has(diffId)));
  deleteLayerBlobs(dependencies, [...unneeded]);
  const manifest = row.manifestDigest;
  const isManifestFree = [...rows.list()].every((other) => other.manifestDigest !== manifest);
  if (manifest !== undefined && isManifestFree) content.delete(manifest);
  return removed;
};

/** See `Images.collect`. */
export const collect = async (
  dependencies: ImageDependencies,
  catalog: Catalog,
): Promise<{ layers: number; reclaimedBytes: number }> => {
  const { layers, rows } = dependencies;
  dependencies.leases.sweep();
  const chains = chainsInUse(dependencies, catalog);
  const unused = layers.layers().filter((layer) => !chains.has(layer.chainId));
  let count = 0;
  let reclaimedBytes = 0;
  // A layer goes only after those that stand on it: rounds, until one removes nothing.
  for (let rest = unused; ;) {
    const kept = rest.filter((layer) => {
      const isParent = rest.some((other) => other.parent === layer.chainId);
      if (isParent || !tryRemoveLayer(dependencies, layer.chainId)) return true;
      count += 1;
      reclaimedBytes += layer.sizeBytes;
      return false;
    });
    if (kept.length === rest.length) break;
    rest = kept;
  }
  const needed = diffIdsInUse(dependencies);
  deleteLayerBlobs(
    dependencies,
    rows.layers().filter((diffId) => !needed.has(diffId)),
  );
  return { layers: count, reclaimedBytes };
};
