/** A config and its layers as an image's manifest. See bundle.ts. */
import { type BundledImage, type ImageFormat, documentOf } from "#image/bundle.ts";
import { bundleLayers } from "#image/bundle-layers.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import { chainIds } from "#spec/image/chain-id.ts";
import { parseImageConfig } from "#spec/image/config.ts";
import {
  DOCKER_CONFIG,
  DOCKER_MANIFEST,
  OCI_CONFIG,
  OCI_MANIFEST,
} from "#spec/image/media-type.ts";

/** See `Bundles.image`. */
export const bundleImage = async (
  dependencies: ImageDependencies,
  configText: string,
  format: ImageFormat,
  signal: AbortSignal,
): Promise<BundledImage> => {
  const { diff_ids: diffIds } = parseImageConfig(configText).rootfs;
  const chain = chainIds(diffIds);
  const positions = diffIds.flatMap((diffId, index) => {
    const chainId = chain[index];
    return chainId === undefined ? [] : [{ diffId, chainId }];
  });
  const held = await bundleLayers(dependencies, positions, format, signal);
  // Docker's types have no words for zstd.
  const isOci =
    format.isOci || held.layers.some(({ descriptor }) => descriptor.mediaType.includes("zstd"));
  const config = documentOf(configText, isOci ? OCI_CONFIG : DOCKER_CONFIG, false);
  const { annotations } = format;
  const manifest = {
    schemaVersion: 2,
    mediaType: isOci ? OCI_MANIFEST : DOCKER_MANIFEST,
    config: config.descriptor,
    layers: held.layers.map(({ descriptor }) => descriptor),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
  const root = documentOf(JSON.stringify(manifest, undefined, 2), manifest.mediaType, true);
  return {
    bundle: { root: root.descriptor, documents: [config, root], blobs: held.layers },
    layers: held.layers,
    [Symbol.dispose]: () => held[Symbol.dispose](),
  };
};
