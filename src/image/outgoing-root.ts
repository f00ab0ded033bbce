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
import type { Digest } from "#spec/image/digest.ts";

export interface OutgoingRoot extends Omit<OutgoingIndex, "index"> {
  /** What a name stands for. */
  readonly root: ManifestRow;
  readonly referrers: readonly OutgoingReferrer[];
}

export interface OutgoingReferrer extends ManifestRow {
  /** The tag by which it is attached. */
  readonly tag?: string;
}

/** With what it lists, where it is an index. */
export const referrerRow = (
  dependencies: ImageDependencies,
  catalog: Catalog,
  digest: Digest,
): Pick<OutgoingIndex, "documents" | "blobs"> & { readonly referrers: OutgoingReferrer[] } => {
  const { documents, blobs } = keptRow(dependencies, catalog, digest);
  const tags = dependencies.rows.manifests.tagsOf(digest);
  const isTold = catalog.indexes.document(digest)?.subject !== undefined;
  const document = catalog.indexes.document(digest);
  const below = (document?.kind === "index" ? document.manifests : []).map((one) =>
    keptRow(dependencies, catalog, one.digest),
  );
  return {
    documents: below.flatMap((one) => one.documents),
    blobs: [...blobs, ...below.flatMap((one) => one.blobs)],
    referrers: documents.flatMap((row) => [
      ...(isTold || tags.length === 0 ? [row] : []),
      ...tags.map((tag) => ({ ...row, tag })),
    ]),
  };
};

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
    .map((digest) => referrerRow(dependencies, catalog, digest));
  return {
    ...outgoing,
    documents: [...documents, ...kept.flatMap((one) => one.documents)],
    blobs: [...outgoing.blobs, ...kept.flatMap(({ blobs }) => blobs)],
    referrers: kept.flatMap(({ referrers }) => referrers),
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
