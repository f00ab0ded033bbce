/** Taking files away that no row, container or lease needs any more. */
import type { Catalog } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import { hasCode } from "#lib/errors.ts";
import { keptNeeds, needsOfConfig } from "#image/kept.ts";
import { keptBlobs, sweepManifests } from "#image/manifests.ts";
import { sweepBlobs } from "#image/sweep-blobs.ts";
import { chainIds } from "#spec/image/chain-id.ts";
import type { Digest } from "#spec/image/digest.ts";

/** Of images with a row and of those in the trash. */
const chainsInUse = (
  dependencies: ImageDependencies,
  catalog: Catalog,
  exceptKept?: string,
): Set<Digest> =>
  new Set([
    ...[...dependencies.rows.list()].flatMap((row) => catalog.chain(row)),
    ...keptNeeds(dependencies, exceptKept).flatMap(({ chain }) => chain),
  ]);

const diffIdsInUse = (dependencies: ImageDependencies): Set<Digest> =>
  new Set([
    ...[...dependencies.rows.list()].flatMap((row) => row.config.rootfs.diff_ids),
    ...keptNeeds(dependencies).flatMap(({ diffIds }) => diffIds),
  ]);

/** Layers of this config that nothing else needs: topmost first. */
export const unneededChains = (
  dependencies: ImageDependencies,
  catalog: Catalog,
  configText: string,
  exceptKept?: string,
): Digest[] => {
  const { layers, leases, users } = dependencies;
  const chains = chainsInUse(dependencies, catalog, exceptKept);
  return needsOfConfig(configText)
    .chain.toReversed()
    .filter(
      (chainId) =>
        !chains.has(chainId) &&
        layers.layer(chainId) !== undefined &&
        !leases.isHeld("layer", chainId) &&
        !users.isLayerHeld(chainId),
    );
};

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
  const isKept = keptNeeds(dependencies).some(({ chain }) => chain.includes(chainId));
  const isWanted = [...dependencies.rows.list()].some((row) =>
    chainIds(row.config.rootfs.diff_ids).includes(chainId),
  );
  if (!isWanted && !isKept) tryRemoveLayer(dependencies, chainId);
};

/** Rows first, then the blobs that no other layer is stored in. */
const deleteLayerBlobs = (
  dependencies: ImageDependencies,
  catalog: Catalog,
  diffIds: readonly Digest[],
): void => {
  if (diffIds.length === 0) return;
  const { content, leases, rows } = dependencies;
  const blobs = diffIds.flatMap((diffId) => rows.layerBlobs(diffId));
  rows.transaction(() => {
    for (const diffId of diffIds) rows.deleteLayer(diffId);
  });
  const kept = keptBlobs(dependencies, catalog);
  for (const { digest } of blobs) {
    if (rows.layersOfBlob(digest).length > 0 || kept.has(digest)) continue;
    if (leases.isHeld("blob", digest)) continue;
    content.delete(digest);
  }
};

/**
 * After an image was deleted: removes what only it needed. Returns the chainIDs of the layers, topmost first.
 */
export const deleteFiles = (
  dependencies: ImageDependencies,
  catalog: Catalog,
  configText: string,
  manifest: Digest | undefined,
): Digest[] => {
  const { content, rows } = dependencies;
  const removed = unneededChains(dependencies, catalog, configText).filter((chainId) =>
    tryRemoveLayer(dependencies, chainId),
  );
  const needed = diffIdsInUse(dependencies);
  const { diffIds } = needsOfConfig(configText);
  deleteLayerBlobs(dependencies, catalog, [
    ...new Set(diffIds.filter((diffId) => !needed.has(diffId))),
  ]);
  const isManifestFree = [...rows.list(), ...keptNeeds(dependencies)].every(
    (other) => other.manifestDigest !== manifest,
  );
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
  reclaimedBytes += sweepManifests(dependencies, catalog);
  const needed = diffIdsInUse(dependencies);
  deleteLayerBlobs(
    dependencies,
    catalog,
    rows.layers().filter((diffId) => !needed.has(diffId)),
  );
  reclaimedBytes += sweepBlobs(dependencies, catalog);
  return { layers: count, reclaimedBytes };
};
