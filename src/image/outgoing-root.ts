/** What leaves the store word for word, with what refers to it; see outgoing.ts for indexes. */
import { isArtifact } from "#image/artifact.ts";
import type { Catalog } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import { type OutgoingIndex, keptRow } from "#image/outgoing.ts";
import { referrersOf } from "#image/referrers.ts";
import { manifestRow } from "#image/register-index.ts";
import { serveImage } from "#image/served.ts";
import type { ManifestRow } from "#metadata/image-manifests.ts";
import type { ImageRow } from "#metadata/images.ts";

export interface OutgoingRoot extends Omit<OutgoingIndex, "index"> {
  /** What a name stands for. */
  readonly root: ManifestRow;
  readonly referrers: readonly ManifestRow[];
}

export const withReferrers = (
  dependencies: ImageDependencies,
  catalog: Catalog,
  outgoing: Omit<OutgoingRoot, "referrers">,
): OutgoingRoot => {
  const { root, documents, images } = outgoing;
  const subjects = [
    root.digest,
    ...documents.map(({ digest }) => digest),
    ...images.map(({ manifest }) => manifest.digest),
  ];
  const known = new Set(subjects);
  const kept = referrersOf(catalog, subjects)
    .filter((digest) => !known.has(digest))
    .map((digest) => keptRow(dependencies, catalog, digest));
  return {
    ...outgoing,
    blobs: [...outgoing.blobs, ...kept.flatMap(({ blobs }) => blobs)],
    referrers: kept.flatMap(({ documents: rows }) => rows),
  };
};

/** An artifact, or an image with referrers; undefined for other images, and where the manifest that is referred to cannot go. */
export const outgoingSingle = async (
  dependencies: ImageDependencies,
  catalog: Catalog,
  row: ImageRow,
  signal: AbortSignal,
): Promise<OutgoingRoot | undefined> => {
  if (isArtifact(row)) {
    const { documents, blobs } = keptRow(dependencies, catalog, row.id);
    const [root] = documents;
    if (root === undefined) return undefined;
    return withReferrers(dependencies, catalog, { root, documents: [], images: [], blobs });
  }
  const { manifestDigest } = row;
  if (manifestDigest === undefined || referrersOf(catalog, [manifestDigest]).length === 0) {
    return undefined;
  }
  const image = await serveImage(dependencies, catalog, row.id, signal);
  const { content, digest, mediaType } = image.manifest;
  if (digest !== manifestDigest) return undefined;
  const root = manifestRow(Buffer.from(content).toString(), mediaType, digest);
  return withReferrers(dependencies, catalog, { root, documents: [], images: [image], blobs: [] });
};
