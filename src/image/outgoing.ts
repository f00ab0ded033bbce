/** An index as it leaves the store, to an archive or to another machine: what is here of it, and where the bytes are. */
import type { BlobInfo } from "#content/content.ts";
import type { Catalog } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import type { ServedImage } from "#image/image.ts";
import { REFERENCE_DIGEST } from "#image/indexes.ts";
import { blobsOfKept } from "#image/manifests.ts";
import { manifestRow } from "#image/register-index.ts";
import { serveImage } from "#image/served.ts";
import { NaruError } from "#lib/errors.ts";
import type { ManifestRow } from "#metadata/image-manifests.ts";
import { asArray, asObject, decodeJson } from "#spec/image/decode.ts";
import type { Digest } from "#spec/image/digest.ts";

export interface OutgoingIndex {
  /** As it was kept; made anew where the manifest of an image below it had to be. */
  readonly index: ManifestRow;
  /** Indexes below it, and manifests that were kept as they came. */
  readonly documents: readonly ManifestRow[];
  readonly images: readonly ServedImage[];
  /** Of kept manifests. */
  readonly blobs: readonly BlobInfo[];
}

/** The index with what it lists under new digests, where documents were made anew. */
export const rewriteIndex = (
  index: ManifestRow,
  made: ReadonlyMap<string, Pick<ManifestRow, "digest" | "mediaType"> & { sizeBytes: number }>,
): ManifestRow => {
  if (made.size === 0) return index;
  const object = asObject(decodeJson(index.document, "index"), "index");
  const manifests = asArray(object["manifests"], "manifests").map((item) => {
    const entry = asObject(item, "index entry");
    const annotations = asObject(entry["annotations"] ?? {}, "annotations");
    const subject = made.get(String(annotations[REFERENCE_DIGEST]));
    const own = made.get(String(entry["digest"]));
    return {
      ...entry,
      ...(own === undefined
        ? {}
        : { mediaType: own.mediaType, digest: own.digest, size: own.sizeBytes }),
      ...(subject === undefined
        ? {}
        : { annotations: { ...annotations, [REFERENCE_DIGEST]: subject.digest } }),
    };
  });
  return manifestRow(JSON.stringify({ ...object, manifests }, undefined, 2), index.mediaType);
};

/** A manifest that was kept as it came, with its blobs. */
export const keptRow = (
  dependencies: ImageDependencies,
  catalog: Catalog,
  digest: Digest,
): Pick<OutgoingIndex, "documents" | "blobs"> => {
  const row = dependencies.rows.manifests.get(digest);
  if (row === undefined) return { documents: [], blobs: [] };
  const blobs = blobsOfKept(dependencies, catalog, digest);
  const found = blobs.flatMap((blob) => dependencies.content.info(blob.digest) ?? []);
  return { documents: [row], blobs: found };
};

/**
 * What of the index is here; of it only `wanted` (digests of manifests) where that is given. Layers of images that
 * have no tar yet get one. What is absent stays listed.
 */
export const outgoingIndex = async (
  dependencies: ImageDependencies,
  catalog: Catalog,
  target: Digest,
  signal: AbortSignal,
  wanted?: ReadonlySet<Digest>,
): Promise<OutgoingIndex> => {
  const { rows } = dependencies;
  const row = rows.manifests.get(target);
  const document = catalog.indexes.document(target);
  if (row === undefined || document?.kind !== "index") {
    throw new NaruError("data_loss", `index "${target}" is not stored here any more`);
  }
  const documents: ManifestRow[] = [];
  const images: ServedImage[] = [];
  const blobs: BlobInfo[] = [];
  const made = new Map<string, { digest: Digest; mediaType: string; sizeBytes: number }>();
  for (const digest of new Set(document.manifests.map((one) => one.digest))) {
    if (catalog.indexes.document(digest)?.kind === "index") {
      const below = await outgoingIndex(dependencies, catalog, digest, signal, wanted);
      const { index } = below;
      documents.push(index, ...below.documents);
      images.push(...below.images);
      blobs.push(...below.blobs);
      const sizeBytes = Buffer.byteLength(index.document);
      if (index.digest !== digest) made.set(digest, { ...index, sizeBytes });
      continue;
    }
    if (wanted !== undefined && !wanted.has(digest)) continue;
    const imageId = rows.manifests.imageOf(digest);
    if (imageId === undefined) {
      const kept = keptRow(dependencies, catalog, digest);
      documents.push(...kept.documents);
      blobs.push(...kept.blobs);
      continue;
    }
    if (rows.get(imageId) === undefined) continue;
    const served = await serveImage(dependencies, catalog, imageId, signal, digest);
    images.push(served);
    const { manifest } = served;
    if (manifest.digest === digest) continue;
    made.set(digest, { ...manifest, sizeBytes: manifest.content.length });
  }
  return { index: rewriteIndex(row, made), documents, images, blobs };
};
