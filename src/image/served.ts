/** An image as a registry would have it: its manifest, and where the bytes of what it needs are. */
import type { Catalog } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import type { ServedImage } from "#image/image.ts";
import { ensureLayerBlobs } from "#image/layer-blobs.ts";
import { NaruError } from "#lib/errors.ts";
import type { ImageRow, LayerBlobRow } from "#metadata/images.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";
import { parseManifest } from "#spec/image/manifest.ts";
import { OCI_CONFIG, OCI_MANIFEST } from "#spec/image/media-type.ts";

interface Original {
  readonly digest: Digest;
  readonly text: string;
  readonly mediaType: string;
  readonly layers: readonly LayerBlobRow[];
}

const fitting = (
  { content, rows }: ImageDependencies,
  row: ImageRow,
  text: string,
): Original | undefined => {
  const manifest = parseManifest(text);
  if (manifest.kind !== "manifest" || manifest.config.digest !== row.id) return undefined;
  const diffIds = row.config.rootfs.diff_ids;
  const layers = manifest.layers.map(({ digest }, index) => {
    const diffId = diffIds[index];
    const blob =
      diffId === undefined ? undefined : rows.layerBlobs(diffId).find((b) => b.digest === digest);
    return blob !== undefined && content.info(digest) !== undefined ? blob : undefined;
  });
  const found = layers.filter((layer) => layer !== undefined);
  return found.length === layers.length && found.length === diffIds.length
    ? { digest: digestOf(text), text, mediaType: manifest.mediaType, layers: found }
    : undefined;
};

/** The one it came with, as long as all that it speaks of is still here; `wanted` before others. */
const cameWith = (
  dependencies: ImageDependencies,
  row: ImageRow,
  wanted: Digest | undefined,
): Original | undefined => {
  const { content, rows } = dependencies;
  const listed = wanted === undefined ? undefined : rows.manifests.get(wanted)?.document;
  const { manifestDigest } = row;
  const own =
    manifestDigest !== undefined && content.info(manifestDigest) !== undefined
      ? content.readText(manifestDigest)
      : undefined;
  for (const text of [listed, own]) {
    const original = text === undefined ? undefined : fitting(dependencies, row, text);
    if (original !== undefined) return original;
  }
  return undefined;
};

const blobOf = ({ rows, content }: ImageDependencies, diffId: Digest): LayerBlobRow => {
  const here = rows.layerBlobs(diffId).filter(({ digest }) => content.info(digest) !== undefined);
  // Compressed where there is a choice: it goes over a network.
  const blob = here.find(({ digest }) => digest !== diffId) ?? here[0];
  if (blob !== undefined) return blob;
  throw new NaruError("data_loss", `the content of layer "${diffId}" is not stored here any more`);
};

/** See `Images.served`. Layers that have no tar yet get one. */
export const serveImage = async (
  dependencies: ImageDependencies,
  catalog: Catalog,
  name: string,
  signal: AbortSignal,
  wanted?: Digest,
): Promise<ServedImage> => {
  const row = catalog.row(catalog.resolve(name));
  await ensureLayerBlobs(dependencies, row, signal);
  const { content } = dependencies;
  const fileOf = ({ digest, sizeBytes }: LayerBlobRow) => ({
    digest,
    sizeBytes,
    path: content.path(digest),
  });
  const original = cameWith(dependencies, row, wanted);
  const layers =
    original?.layers ?? row.config.rootfs.diff_ids.map((diffId) => blobOf(dependencies, diffId));
  const config = Buffer.from(row.configText);
  const text =
    original?.text ??
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: OCI_CONFIG, digest: row.id, size: config.length },
      layers: layers.map(({ mediaType, digest, sizeBytes }) => ({
        mediaType,
        digest,
        size: sizeBytes,
      })),
    });
  return {
    imageId: row.id,
    config,
    manifest: {
      digest: original?.digest ?? digestOf(text),
      mediaType: original?.mediaType ?? OCI_MANIFEST,
      content: Buffer.from(text),
    },
    layers: layers.map(fileOf),
  };
};
