/** What a start has to put right: leftovers of a killed daemon, layers that did not reach the disk. */
import type { Catalog } from "#image/catalog.ts";
import { collect } from "#image/collect.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import type { RestoreResult } from "#image/image.ts";
import { NaruError } from "#lib/errors.ts";
import type { ImageRow } from "#metadata/images.ts";
import type { Digest } from "#spec/image/digest.ts";

/** Unpacks the image's missing layers from their blobs. Returns how many; throws when one is lost. */
export const repairImage = async (
  { content, layers, rows }: ImageDependencies,
  chain: readonly Digest[],
  row: ImageRow,
): Promise<number> => {
  let count = 0;
  for (const [index, diffId] of row.config.rootfs.diff_ids.entries()) {
    const chainId = chain[index];
    if (chainId === undefined || layers.layer(chainId) !== undefined) continue;
    const blob = rows.layerBlobs(diffId).find(({ digest }) => content.info(digest) !== undefined);
    if (blob === undefined) {
      throw new NaruError("data_loss", `layer "${chainId}" is lost and so is its blob`);
    }
    const source = { path: content.path(blob.digest) };
    await layers.unpack({ parent: chain[index - 1], source, diffId });
    count += 1;
  }
  return count;
};

/** A daemon that cannot clean up can still serve. */
const tryCollect = async (dependencies: ImageDependencies, catalog: Catalog): Promise<number> => {
  try {
    return (await collect(dependencies, catalog)).layers;
  } catch (error) {
    dependencies.log.error("could not collect unused layers", { error: String(error) });
    return 0;
  }
};

/** See `Images.restore`. */
export const restoreImages = async (
  dependencies: ImageDependencies,
  catalog: Catalog,
): Promise<RestoreResult> => {
  const { content, leases, log, rows } = dependencies;
  leases.clear();
  const sweptIngests = content.sweepIngests();
  const brokenImages: Digest[] = [];
  let unpackedLayers = 0;
  for (const row of rows.list()) {
    try {
      unpackedLayers += await repairImage(dependencies, catalog.chain(row), row);
    } catch (error) {
      brokenImages.push(row.id);
      log.error("image is broken: remove it, or load or pull it again", {
        image: row.id,
        error: String(error),
      });
    }
  }
  const removedLayers = await tryCollect(dependencies, catalog);
  const result = { sweptIngests, removedLayers, unpackedLayers, brokenImages };
  if (sweptIngests + removedLayers + unpackedLayers > 0) log.info("put images right", result);
  return result;
};
