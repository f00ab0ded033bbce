/** Rows of manifests that nothing leads to any more, and the blobs that were kept for them. */
import type { Catalog } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import type { Digest } from "#spec/image/digest.ts";

type Parts = Pick<ImageDependencies, "rows" | "content" | "leases">;

/** What a kept manifest speaks of; nothing for that of an image, whose layers have rows of their own. */
export const blobsOfKept = (
  { rows }: Pick<Parts, "rows">,
  { indexes }: Pick<Catalog, "indexes">,
  digest: Digest,
): readonly Descriptor[] => {
  if (rows.manifests.imageOf(digest) !== undefined) return [];
  const manifest = indexes.document(digest);
  return manifest?.kind === "manifest" ? [manifest.config, ...manifest.layers] : [];
};

/** Blobs that stay for the sake of what is kept as it came. */
export const keptBlobs = (
  parts: Pick<Parts, "rows">,
  catalog: Pick<Catalog, "indexes">,
): ReadonlySet<Digest> =>
  new Set(
    parts.rows.manifests
      .digests()
      .flatMap((one) => blobsOfKept(parts, catalog, one).map(({ digest }) => digest)),
  );

/** Rows first, then their blobs. Returns the bytes that became free. */
export const deleteManifests = (
  parts: Parts,
  catalog: Pick<Catalog, "indexes">,
  digests: readonly Digest[],
): number => {
  if (digests.length === 0) return 0;
  const { rows, content, leases } = parts;
  const blobs = digests.flatMap((digest) => blobsOfKept(parts, catalog, digest));
  rows.transaction(() => {
    for (const digest of digests) rows.manifests.delete(digest);
  });
  const kept = keptBlobs(parts, catalog);
  let freed = 0;
  for (const { digest } of new Map(blobs.map((blob) => [blob.digest, blob])).values()) {
    const isNeeded = kept.has(digest) || rows.layersOfBlob(digest).length > 0;
    if (isNeeded || leases.isHeld("blob", digest)) continue;
    freed += content.info(digest)?.sizeBytes ?? 0;
    content.delete(digest);
  }
  return freed;
};

/** After names or images went. */
export const sweepManifests = (parts: Parts, catalog: Pick<Catalog, "indexes">): number =>
  deleteManifests(parts, catalog, catalog.indexes.unreachable());
