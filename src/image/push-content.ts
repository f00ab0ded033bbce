/** What a push sends: one image, what is kept as it came, or an index with all that it lists. */
import { sendSmall } from "#image/patient-upload.ts";
import type { Catalog } from "#image/catalog.ts";
import { ensureLayerBlobs } from "#image/layer-blobs.ts";
import { rewriteIndex } from "#image/outgoing.ts";
import { type LayerPush, type PushedLayer, pushBlob, pushLayers } from "#image/push-layers.ts";
import { pushManifestOf } from "#image/push-manifest.ts";
import { manifestRow } from "#image/register-index.ts";
import { NaruError } from "#lib/errors.ts";
import type { ManifestRow } from "#metadata/image-manifests.ts";
import type { ImageRow } from "#metadata/images.ts";
import { isUrlLayer } from "#spec/image/media-type.ts";
import type { Digest } from "#spec/image/digest.ts";

export interface ContentPush extends LayerPush {
  readonly catalog: Catalog;
}

export interface PushedImage {
  readonly row: ImageRow;
  readonly layers: readonly PushedLayer[];
}

/** A manifest or an index that may be sent now: what it speaks of is at the registry. */
export interface PushedContent {
  readonly document: ManifestRow;
  readonly images: readonly PushedImage[];
  /** Documents that had to be made anew: layers were compressed on the way. */
  readonly made: readonly ManifestRow[];
}

const pushConfig = ({ repository, signal }: LayerPush, row: ImageRow): Promise<void> =>
  sendSmall(repository, row.id, Buffer.from(row.configText), signal);

/** `manifest`: the one of several that the image came with. The registry has layers and config afterwards. */
export const pushImage = async (
  push: ContentPush,
  row: ImageRow,
  manifest?: ManifestRow,
): Promise<PushedContent> => {
  const { dependencies, signal } = push;
  await ensureLayerBlobs(dependencies, row, signal);
  using _lease = dependencies.leases.acquire(
    row.config.rootfs.diff_ids
      .flatMap((diffId) => dependencies.rows.layerBlobs(diffId))
      .map(({ digest }) => ({ kind: "blob" as const, resource: digest })),
  );
  const { manifestDigest } = row;
  const isKept = manifestDigest !== undefined && dependencies.content.info(manifestDigest);
  const own = isKept ? dependencies.content.readText(manifestDigest) : undefined;
  const layers = await pushLayers(push, row, manifest?.document ?? own);
  await pushConfig(push, row);
  const { text, mediaType } = pushManifestOf(dependencies, row, layers, manifest?.document);
  const document: ManifestRow = { ...manifestRow(text, mediaType), imageId: row.id };
  const isMade = document.digest !== manifest?.digest;
  return { document, images: [{ row, layers }], made: isMade ? [document] : [] };
};

/** Layers that are to be had elsewhere stay there, unless the registry is one that may have them. */
const pushKept = async (push: ContentPush, document: ManifestRow): Promise<PushedContent> => {
  const manifest = push.catalog.indexes.document(document.digest);
  if (manifest?.kind !== "manifest") {
    throw new NaruError("data_loss", `manifest "${document.digest}" is not stored here any more`);
  }
  const { takesForeign } = push.repository;
  const own = manifest.layers.filter((layer) => takesForeign || !isUrlLayer(layer));
  const blobs = new Map([manifest.config, ...own].map((blob) => [blob.digest, blob]));
  using _lease = push.dependencies.leases.acquire(
    [...blobs.keys()].map((digest) => ({ kind: "blob" as const, resource: digest })),
  );
  for (const blob of blobs.values()) await pushBlob(push, blob);
  return { document, images: [], made: [] };
};

/** Everything below it, then leaves the index itself to the caller. */
export const pushTarget = async (push: ContentPush, target: Digest): Promise<PushedContent> => {
  const { catalog, dependencies, repository, signal } = push;
  const { manifests } = dependencies.rows;
  const row = manifests.get(target);
  if (row === undefined) {
    throw new NaruError("data_loss", `manifest "${target}" is not stored here any more`);
  }
  const document = catalog.indexes.document(target);
  if (document?.kind !== "index") {
    const image = row.imageId === undefined ? undefined : dependencies.rows.get(row.imageId);
    return image === undefined ? await pushKept(push, row) : await pushImage(push, image, row);
  }
  const images: PushedImage[] = [];
  const made: ManifestRow[] = [];
  const renamed = new Map<string, ManifestRow & { sizeBytes: number }>();
  for (const { digest } of new Map(document.manifests.map((one) => [one.digest, one])).values()) {
    const below = await pushTarget(push, digest);
    images.push(...below.images);
    made.push(...below.made);
    const { mediaType, document: text } = below.document;
    const sizeBytes = Buffer.byteLength(text);
    if (below.document.digest !== digest) renamed.set(digest, { ...below.document, sizeBytes });
    await repository.putManifest(below.document.digest, mediaType, text, signal);
  }
  if (renamed.size === 0) return { document: row, images, made };
  const index = rewriteIndex(row, renamed);
  return { document: index, images, made: [...made, index] };
};
