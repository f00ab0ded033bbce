/** The manifest an image is pushed with: the one it came with where it still fits, else a new one. */
import type { ImageDependencies } from "#image/dependencies.ts";
import type { PushedLayer } from "#image/push-layers.ts";
import type { ImageRow } from "#metadata/images.ts";
import { parseManifest } from "#spec/image/manifest.ts";
import {
  DOCKER_CONFIG,
  DOCKER_LAYER_GZIP,
  DOCKER_MANIFEST,
  OCI_CONFIG,
  OCI_LAYER_GZIP,
  OCI_MANIFEST,
} from "#spec/image/media-type.ts";

interface PushManifest {
  readonly text: string;
  readonly mediaType: string;
}

const storedText = (
  { content }: Pick<ImageDependencies, "content">,
  { manifestDigest }: ImageRow,
): string | undefined =>
  manifestDigest === undefined || content.info(manifestDigest) === undefined
    ? undefined
    : content.readText(manifestDigest);

/** As long as it speaks of these layers. Those that are to be had elsewhere are as it says. */
const fitting = (
  text: string,
  row: ImageRow,
  layers: readonly PushedLayer[],
): PushManifest | undefined => {
  const manifest = parseManifest(text);
  if (manifest.kind !== "manifest" || manifest.config.digest !== row.id) return undefined;
  const isSame =
    manifest.layers.length === layers.length &&
    manifest.layers.every((layer, index) => layer.digest === layers[index]?.descriptor.digest);
  return isSame ? { text, mediaType: manifest.mediaType } : undefined;
};

const GZIPS: readonly string[] = [OCI_LAYER_GZIP, DOCKER_LAYER_GZIP];

/** `preferred`: the one of several that is meant. Docker's schema 2 is understood everywhere; what it has no words for (zstd) needs OCI's. */
export const pushManifestOf = (
  dependencies: Pick<ImageDependencies, "content">,
  row: ImageRow,
  layers: readonly PushedLayer[],
  preferred?: string,
): PushManifest => {
  for (const text of [preferred, storedText(dependencies, row)]) {
    const stored = text === undefined ? undefined : fitting(text, row, layers);
    if (stored !== undefined) return stored;
  }
  const isDocker = layers.every(({ descriptor }) => GZIPS.includes(descriptor.mediaType));
  const mediaType = isDocker ? DOCKER_MANIFEST : OCI_MANIFEST;
  const config = {
    mediaType: isDocker ? DOCKER_CONFIG : OCI_CONFIG,
    size: Buffer.byteLength(row.configText),
    digest: row.id,
  };
  const descriptors = layers.map(({ descriptor: { mediaType: type, digest, size } }) => ({
    mediaType: isDocker ? DOCKER_LAYER_GZIP : type,
    size,
    digest,
  }));
  const document = { schemaVersion: 2, mediaType, config, layers: descriptors };
  return { text: JSON.stringify(document, undefined, 3), mediaType };
};
