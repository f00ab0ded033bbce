/** A bundle's index, or its one manifest, as an image of this machine. See bundle.ts. */
import type { Bundle } from "#image/bundle.ts";
import type { Catalog } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import type { StoredImage } from "#image/image.ts";
import { registerImage } from "#image/register.ts";
import { type IndexImage, manifestRow, registerIndex } from "#image/register-index.ts";
import { NaruError } from "#lib/errors.ts";
import { parseImageConfig } from "#spec/image/config.ts";
import type { Digest } from "#spec/image/digest.ts";
import { parseManifest } from "#spec/image/manifest.ts";
import { isConfigType } from "#spec/image/media-type.ts";

const storedImage = ({ rows }: ImageDependencies, configText: string): StoredImage => ({
  configText,
  layers: parseImageConfig(configText).rootfs.diff_ids.map((diffId) => ({
    diffId,
    sizeBytes: rows.layerSize(diffId) ?? 0,
    blobs: [],
  })),
});

/** See `Bundles.store`. Synchronous: no sweep can come between the blobs and the rows that need them. */
export const storeBundle = (
  dependencies: ImageDependencies,
  { indexes }: Catalog,
  { root, documents }: Bundle,
  references: readonly string[],
): Digest => {
  const texts = new Map(documents.map(({ descriptor, text }) => [descriptor.digest, text]));
  const images: IndexImage[] = [];
  const kept: ReturnType<typeof manifestRow>[] = [];
  for (const { descriptor, text, isManifest } of documents) {
    if (!isManifest) continue;
    const { digest, mediaType } = descriptor;
    const manifest = parseManifest(text, mediaType);
    const row = manifestRow(text, mediaType, digest);
    if (manifest.kind === "index") {
      kept.push(row);
      continue;
    }
    const configText = texts.get(manifest.config.digest) ?? "";
    const isImage =
      isConfigType(manifest.config.mediaType) && parseImageConfig(configText).os !== "unknown";
    if (isImage) {
      images.push({ image: storedImage(dependencies, configText), manifest: row });
      continue;
    }
    kept.push(row);
    for (const blob of [manifest.config, ...manifest.layers]) {
      const content = texts.get(blob.digest);
      if (content !== undefined) dependencies.content.write(content);
    }
  }
  const [only] = images;
  if (only !== undefined && only.manifest.digest === root.digest) {
    return registerImage(dependencies, only.image, references);
  }
  if (only === undefined) throw new NaruError("internal", "a bundle without an image");
  const registration = { target: root.digest, documents: kept, images, references };
  return registerIndex(dependencies, indexes, registration);
};
