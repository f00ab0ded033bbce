/** `docker load`: everything an archive holds, or nothing of it. */
import type { ArchiveArtifact } from "#image/archive-artifacts.ts";
import type { ArchiveContents, ArchiveDocument, ArchiveFile } from "#image/archive-files.ts";
import {
  type ArchiveImage,
  type ArchiveIndex,
  type ArchiveLayer,
  type ArchivePlan,
  readArchive,
} from "#image/archive-contents.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import { publishImageEvent } from "#image/event.ts";
import type { ArchiveSource, LoadEvent, LoadOptions, StoredImage } from "#image/image.ts";
import { registerArtifact } from "#image/register-artifact.ts";
import { type Registration, registerImages } from "#image/register.ts";
import { type IndexRegistration, manifestRow, registerIndex } from "#image/register-index.ts";
import { type Catalog, parseTagTarget } from "#image/catalog.ts";
import type { ManifestRow } from "#metadata/image-manifests.ts";
import { machinePlatform } from "#image/machine-platform.ts";
import { type LayerToUnpack, unpackLayers } from "#image/unpack.ts";
import { runWorker } from "#image/worker-client.ts";
import type { Ingest } from "#content/content.ts";
import { failpoint } from "#lib/failpoint.ts";
import { NaruError } from "#lib/errors.ts";
import { chainIds } from "#spec/image/chain-id.ts";
import { parseImageConfig } from "#spec/image/config.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";
import { layerTypeOf } from "#spec/image/media-type.ts";
import {
  familiarString,
  formatReference,
  parseReference,
  repositoryOf,
} from "#spec/image/reference.ts";

const layerId = (path: string): string => {
  const parts = path.split("/");
  const name = parts.at(-1) === "layer.tar" ? parts.at(-2) : parts.at(-1);
  return (name ?? path).slice(0, 12);
};

export const readContents = async (
  dependencies: ImageDependencies,
  ingest: Ingest,
  source: ArchiveSource,
  options: Pick<LoadOptions, "signal" | "onEvent">,
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
  imageId: Digest,
  references: readonly string[],
  onEvent: LoadOptions["onEvent"],
): void => {
  for (const text of references) {
    publishImageEvent(dependencies, "tag", imageId, familiarString(parseReference(text)));
  }
  publishImageEvent(dependencies, "load", imageId);
  if (references.length === 0) onEvent?.({ kind: "loaded", imageId });
  for (const text of references) {
    onEvent?.({ kind: "loaded", imageId, reference: familiarString(parseReference(text)) });
  }
};

/** Where names point before they move away from another image. */
const pointsOf = (
  { rows }: ImageDependencies,
  references: readonly string[],
): ReadonlyMap<string, Digest> =>
  new Map(
    references.flatMap((text) => {
      const { tag, digest, ...rest } = parseReference(text);
      const id = rows.findReference(repositoryOf(rest), tag, digest);
      return id === undefined ? [] : [[text, id] as const];
    }),
  );

const renamesOf = (
  points: ReadonlyMap<string, Digest>,
  id: Digest,
  references: readonly string[],
): Extract<LoadEvent, { kind: "renamed" }>[] =>
  references.flatMap((text) => {
    const oldId = points.get(text);
    if (oldId === undefined || oldId === id) return [];
    return [{ kind: "renamed", reference: familiarString(parseReference(text)), oldId }];
  });

const storeBlobs = (
  { content }: ImageDependencies,
  ingest: Ingest,
  files: readonly ArchiveFile[],
): void => {
  for (const file of files) {
    if (content.info(file.digest) !== undefined) continue;
    if (file.file !== undefined) ingest.commit(file.file, file.digest, file.sizeBytes);
    else if (file.text !== undefined) content.write(file.text, { digest: file.digest });
  }
};

/** Blobs of what is kept are stored when this returns; rows come with `registerIndex`. */
const storeIndex = (
  dependencies: ImageDependencies,
  ingest: Ingest,
  { documents, images, kept, references }: ArchiveIndex,
): IndexRegistration => {
  storeBlobs(
    dependencies,
    ingest,
    kept.flatMap(({ blobs }) => blobs),
  );
  const rowOf = ({ text, mediaType }: ArchiveDocument): ManifestRow => manifestRow(text, mediaType);
  return {
    target: rowOf(documents[0]).digest,
    documents: [...documents, ...kept].map(rowOf),
    images: images.map((image) => ({
      image: storeImage(dependencies, ingest, image),
      manifest: rowOf(image.document),
    })),
    references,
  };
};

interface Loaded {
  /** What the archive gave; of several the one for this machine. */
  readonly id: Digest;
  /** What the names point at. */
  readonly main: Digest;
  readonly references: readonly string[];
}

/** One transaction for all of the archive. */
const register = (
  dependencies: ImageDependencies,
  catalog: Catalog,
  images: readonly Registration[],
  indexes: readonly IndexRegistration[],
  artifacts: readonly ArchiveArtifact[],
): readonly Loaded[] =>
  dependencies.rows.transaction(() => {
    const { manifests } = dependencies.rows;
    const named = artifacts.flatMap((artifact) => {
      const { digest, isReferrer, manifest, mediaType, references, tag, text } = artifact;
      if (isReferrer || manifest.kind === "index") {
        manifests.put({ digest, mediaType, document: text });
        if (tag !== undefined) manifests.attach(tag, digest);
        return [];
      }
      const id = registerArtifact(dependencies, { digest, manifest, text }, references);
      return [{ id, main: id, references }];
    });
    const ids = registerImages(dependencies, images, "silent");
    const single = ids.map((id, at) => ({
      id,
      main: id,
      references: images[at]?.references ?? [],
    }));
    const whole = indexes.map((index) => {
      const main = registerIndex(dependencies, catalog.indexes, index, "silent");
      const [only, another] = index.images;
      const isSingle = only !== undefined && another === undefined;
      const id = isSingle ? digestOf(only.image.configText) : main;
      return { id, main, references: index.references };
    });
    return [...single, ...whole, ...named];
  });

/** The only image under the name that is wanted, in place of its own. */
const renamed = (plan: ArchivePlan, reference: string | undefined): ArchivePlan => {
  if (reference === undefined) return plan;
  const references = [formatReference(parseTagTarget(reference))];
  const artifacts = plan.artifacts.filter((one) => !one.isReferrer);
  if (plan.images.length + plan.indexes.length + artifacts.length !== 1) {
    throw new NaruError(
      "invalid_argument",
      `the archive holds several images: they cannot all be "${reference}"; load it as it is (naru load), then tag what is wanted`,
    );
  }
  return {
    images: plan.images.map((image) => ({ ...image, references })),
    indexes: plan.indexes.map((index) => ({ ...index, references })),
    artifacts: plan.artifacts.map((one) => (one.isReferrer ? one : { ...one, references })),
  };
};

/** See `Images.load`. */
export const loadImages = async (
  dependencies: ImageDependencies,
  catalog: Catalog,
  source: ArchiveSource,
  options: LoadOptions,
): Promise<Digest[]> => {
  await using ingest = dependencies.content.openIngest();
  const contents = await readContents(dependencies, ingest, source, options);
  failpoint("load.mid-layer");
  const plan = renamed(
    readArchive(contents, machinePlatform(), options.platform),
    options.reference,
  );
  const all = [...plan.images, ...plan.indexes.flatMap(({ images }) => images)];
  for (const image of all) parseImageConfig(image.configText);
  await using undo = new AsyncDisposableStack();
  using lease = dependencies.leases.acquire([]);
  const { signal } = options;
  await unpackLayers(
    { dependencies, signal, undo, lease },
    all.map(({ layers }) => layers.map((layer) => layerToUnpack(dependencies, layer))),
  );
  // From here on everything is synchronous: no removal can come between blobs, rows and names.
  const images = plan.images.map((image) => ({
    image: storeImage(dependencies, ingest, image),
    references: image.references,
  }));
  const indexes = plan.indexes.map((index) => storeIndex(dependencies, ingest, index));
  const { artifacts } = plan;
  storeBlobs(
    dependencies,
    ingest,
    artifacts.flatMap(({ blobs }) => blobs),
  );
  const references = [...images, ...indexes, ...artifacts].flatMap((one) => one.references);
  const points = pointsOf(dependencies, references);
  failpoint("load.before-reference");
  const loaded = register(dependencies, catalog, images, indexes, artifacts);
  undo.move();
  for (const { main, references: names } of loaded) {
    for (const event of renamesOf(points, main, names)) options.onEvent?.(event);
  }
  for (const { id, references: names } of loaded) {
    announce(dependencies, id, names, options.onEvent);
  }
  return loaded.map(({ id }) => id);
};
