/** What the trash holds of an image. */
import type { ImageDependencies } from "#image/dependencies.ts";
import type { ImageRow, ReferenceRow } from "#metadata/images.ts";
import { chainIds } from "#spec/image/chain-id.ts";
import { parseStoredConfig } from "#spec/image/config.ts";
import type { Digest } from "#spec/image/digest.ts";

export interface KeptImage {
  readonly image: Omit<ImageRow, "config">;
  readonly names: readonly ReferenceRow[];
}

/** What an image stands on, whether it has a row or is in the trash. */
export interface ImageNeeds {
  readonly diffIds: readonly Digest[];
  readonly chain: readonly Digest[];
  readonly manifestDigest: Digest | undefined;
}

export const needsOfConfig = (configText: string, manifestDigest?: Digest): ImageNeeds => {
  const diffIds = parseStoredConfig(configText).rootfs.diff_ids;
  return { diffIds, chain: chainIds(diffIds), manifestDigest };
};

/** What the images in the trash stand on, without the one in `exceptRow`. */
export const keptNeeds = ({ trash }: ImageDependencies, exceptRow?: string): ImageNeeds[] =>
  trash
    .all("image")
    .filter(({ id }) => id !== exceptRow)
    .map(({ record }) => {
      const { image } = JSON.parse(record) as KeptImage;
      return needsOfConfig(image.configText, image.manifestDigest);
    });
