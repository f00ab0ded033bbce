/** What of a pull is here already. */
import type { Catalog } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import type { IndexMember } from "#image/indexes.ts";
import { type Wish, chooseManifest } from "#image/pull-manifest.ts";
import type { ImageRow, ReferenceRow } from "#metadata/images.ts";
import { chainIds } from "#spec/image/chain-id.ts";
import { platformOf } from "#spec/image/config.ts";
import type { Digest } from "#spec/image/digest.ts";
import { HOST_PLATFORM, platformScore } from "#spec/image/platform.ts";
import { type Reference, repositoryOf } from "#spec/image/reference.ts";

interface Parts {
  readonly dependencies: ImageDependencies;
  readonly catalog: Catalog;
}

/** What of an index is wanted; undefined when some of that is not here. */
const wantedHere = (
  { dependencies, catalog }: Parts,
  target: Digest,
  { platform, isAllPlatforms = false }: Wish,
): readonly ImageRow[] | undefined => {
  const members = catalog.indexes.members(target);
  const index = { kind: "index", mediaType: "", annotations: {} } as const;
  const manifests = members.map(({ descriptor }) => descriptor);
  const digest = isAllPlatforms
    ? undefined
    : chooseManifest({ ...index, manifests }, platform).digest;
  const wanted = members.filter(({ descriptor }) => isAllPlatforms || descriptor.digest === digest);
  if (!wanted.every((member) => isWhole(dependencies, member))) return undefined;
  return wanted.flatMap(({ image }) => image ?? []);
};

/** Each of them: a lower one can be gone, too, and a pull brings it back. */
const hasLayers = ({ layers }: ImageDependencies, row: ImageRow): boolean =>
  chainIds(row.config.rootfs.diff_ids).every((chainId) => layers.layer(chainId) !== undefined);

const isWhole = (dependencies: ImageDependencies, { isAvailable, image }: IndexMember): boolean =>
  isAvailable && (image === undefined || hasLayers(dependencies, image));

export interface Pulled {
  readonly name: ReferenceRow;
  readonly images: readonly ImageRow[];
}

/** What is here under the registry's digest, whole and for the right platform. */
export const findPulled = (
  parts: Parts,
  reference: Reference,
  digest: Digest,
  options: Wish,
): Pulled | undefined => {
  const { rows } = parts.dependencies;
  const name = rows.reference(repositoryOf(reference), undefined, digest);
  const row = name === undefined ? undefined : rows.get(name.imageId);
  if (name === undefined || row === undefined) return undefined;
  if (name.target !== undefined) {
    const images = wantedHere(parts, digest, options);
    return images === undefined ? undefined : { name, images };
  }
  const { platform, isAllPlatforms = false } = options;
  // Of an index that was not kept only one image is known.
  const isSingle = row.manifestDigest === digest;
  if (isAllPlatforms && !isSingle) return undefined;
  const isServed = platform === undefined || platformScore(platformOf(row.config), platform) > 0;
  const isRight = isServed || (isSingle && platform.os === HOST_PLATFORM.os);
  return isRight && hasLayers(parts.dependencies, row) ? { name, images: [row] } : undefined;
};
