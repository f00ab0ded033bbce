/** Layers that were made on this machine (a build's) have no tar until somebody wants one. */
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { ImageDependencies } from "#image/dependencies.ts";
import type { ImageRow } from "#metadata/images.ts";
import { chainIds } from "#spec/image/chain-id.ts";
import { hexOf } from "#spec/image/digest.ts";
import { OCI_LAYER } from "#spec/image/media-type.ts";

/** Makes the missing tars of an image's layers; those that exist cost one look each. */
export const ensureLayerBlobs = async (
  dependencies: ImageDependencies,
  row: ImageRow,
  signal: AbortSignal,
): Promise<void> => {
  const { content, layers, rows } = dependencies;
  const chain = chainIds(row.config.rootfs.diff_ids);
  for (const [index, diffId] of row.config.rootfs.diff_ids.entries()) {
    const chainId = chain[index];
    const isStored = rows.layerBlobs(diffId).some(({ digest }) => content.info(digest));
    if (isStored || chainId === undefined) continue;
    const layer = layers.layer(chainId);
    if (layer === undefined) continue; // Told by whoever reads it, with the layer's name.
    await using ingest = content.openIngest();
    const path = join(ingest.directory, hexOf(diffId));
    const { tarBytes } = await layers.layerTar(chainId, path, signal);
    await using file = await open(path, "r");
    await file.datasync();
    ingest.commit(path, diffId, tarBytes);
    const blob = { digest: diffId, mediaType: OCI_LAYER, sizeBytes: tarBytes };
    rows.putLayer(diffId, layer.sizeBytes, [blob]);
  }
};
