/** `docker load`: everything an archive holds, or nothing of it. */
import {
  type ArchiveContents,
  type ArchiveImage,
  type ArchiveLayer,
  readArchive,
} from "#image/archive-contents.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import { publishImageEvent } from "#image/event.ts";
import type { ArchiveSource, LoadEvent, LoadOptions, StoredImage } from "#image/image.ts";
import { registerImages } from "#image/register.ts";
import { type LayerToUnpack, unpackLayers } from "#image/unpack.ts";
import { runWorker } from "#image/worker-client.ts";
import type { Ingest } from "#content/content.ts";
import { failpoint } from "#lib/failpoint.ts";
import { NaruError } from "#lib/errors.ts";
import { chainIds } from "#spec/image/chain-id.ts";
import { parseImageConfig } from "#spec/image/config.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";
import { layerTypeOf } from "#spec/image/media-type.ts";
import { HOST_PLATFORM } from "#spec/image/platform.ts";
import { familiarString, parseReference, repositoryOf } from "#spec/image/reference.ts";

const layerId = (path: string): string => {
  const parts = path.split("/");
  const name = parts.at(-1) === "layer.tar" ? parts.at(-2) : parts.at(-1);
  return (name ?? path).slice(0, 12);
};

const readContents = async (
  dependencies: ImageDependencies,
  ingest: Ingest,
  source: ArchiveSource,
  options: LoadOptions,
): Promise<ArchiveContents> => {
  const task = {
    directory: ingest.directory,
    blobs: dependencies.content.blobsDirectory,
    form: dependencies.layers.newLayers().form,
  };
  const { files, links } = await runWorker("split", task, {
    command: dependencies.workerCommand,
    source,
    signal: options.signal,
    onProgress: ({ path, current, total }) =>
      options.onEvent?.({ kind: "progress", id: layerId(path), current, total }),
  });
  return { files: new Map(files), links: new Map(links) };
};

const pathOf = ({ content }: ImageDependencies, layer: ArchiveLayer): string =>
  layer.file.file ?? content.path(layer.file.digest);

const layerToUnpack = (dependencies: ImageDependencies, layer: ArchiveLayer): LayerToUnpack => ({
  diffId: layer.diffId,
  digest: layer.file.digest,
  path: pathOf(dependencies, layer),
  ...(layer.file.staged === undefined ? {} : { staged: layer.file.staged }),
});

const storeImage = (
  dependencies: ImageDependencies,
  ingest: Ingest,
  image: ArchiveImage,
): StoredImage => {
  const { content, layers } = dependencies;
  const chain = chainIds(image.layers.map((layer) => layer.diffId));
  const stored = image.layers.map((layer, index) => {
    const { digest, sizeBytes, file } = layer.file;
    if (content.info(digest) === undefined) {
      if (file === undefined) {
        throw new NaruError("aborted", `layer blob "${digest}" was removed meanwhile, load again`);
      }
      ingest.commit(file, digest, sizeBytes);
    }
    const chainId = chain[index];
    const unpacked = chainId === undefined ? undefined : layers.layer(chainId);
    return {
      diffId: layer.diffId,
      sizeBytes: unpacked?.sizeBytes ?? 0,
      blobs: [{ digest, mediaType: layerTypeOf(layer.file.compression ?? "none"), sizeBytes }],
    };
  });
  const manifest =
    image.manifestText === undefined ? undefined : content.write(image.manifestText).digest;
  return {
    configText: image.configText,
    layers: stored,
    ...(manifest === undefined ? {} : { manifestDigest: manifest }),
  };
};

const announce = (
  dependencies: ImageDependencies,
  image: ArchiveImage,
  onEvent: LoadOptions["onEvent"],
): void => {
  const imageId = digestOf(image.configText);
  publishImageEvent(dependencies, "load", imageId);
  if (image.references.length === 0) onEvent?.({ kind: "loaded", imageId });
  for (const text of image.references) {
    onEvent?.({ kind: "loaded", imageId, reference: familiarString(parseReference(text)) });
  }
};

/** Names that are about to move away from another image. */
const findRenames = (
  { rows }: ImageDependencies,
  image: ArchiveImage,
): Extract<LoadEvent, { kind: "renamed" }>[] =>
  image.references.flatMap((text) => {
    const reference = parseReference(text);
    const oldId = rows.findReference(repositoryOf(reference), reference.tag, reference.digest);
    if (oldId === undefined || oldId === digestOf(image.configText)) return [];
    return [{ kind: "renamed", reference: familiarString(reference), oldId }];
  });

/** See `Images.load`. */
export const loadImages = async (
  dependencies: ImageDependencies,
  source: ArchiveSource,
  options: LoadOptions,
): Promise<Digest[]> => {
  await using ingest = dependencies.content.openIngest();
  const contents = await readContents(dependencies, ingest, source, options);
  failpoint("load.mid-layer");
  const images = readArchive(contents, HOST_PLATFORM, options.platform);
  for (const image of images) parseImageConfig(image.configText);
  await using undo = new AsyncDisposableStack();
  using lease = dependencies.leases.acquire([]);
  const { signal } = options;
  await unpackLayers(
    { dependencies, signal, undo, lease },
    images.map(({ layers }) => layers.map((layer) => layerToUnpack(dependencies, layer))),
  );
  // From here on everything is synchronous: no removal can come between blobs, rows and names.
  const registrations = images.map((image) => ({
    image: storeImage(dependencies, ingest, image),
    references: image.references,
  }));
  const renames = images.flatMap((image) => findRenames(dependencies, image));
  failpoint("load.before-reference");
  const ids = registerImages(dependencies, registrations);
  undo.move();
  for (const event of renames) options.onEvent?.(event);
  images.forEach((image) => announce(dependencies, image, options.onEvent));
  return ids;
};
