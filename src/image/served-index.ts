/** An index as a registry would have it: what its name answers with, and the manifests and blobs below. */
import { isArtifact } from "#image/artifact.ts";
import type { Catalog } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import type { ServedIndex, StoredManifest } from "#image/index-document.ts";
import { blobsOfKept } from "#image/manifests.ts";
import { type OutgoingIndex, outgoingIndex } from "#image/outgoing.ts";
import { referrerRow } from "#image/outgoing-root.ts";
import { referrersOf } from "#image/referrers.ts";
import type { ManifestRow } from "#metadata/image-manifests.ts";
import { asArray, asObject, decodeJson } from "#spec/image/decode.ts";
import { digestOf } from "#spec/image/digest.ts";

const stored = ({ digest, mediaType, document }: ManifestRow): StoredManifest => ({
  digest,
  mediaType,
  text: document,
  sizeBytes: Buffer.byteLength(document),
});

/** Without what is not here, so that nobody is led to it; the index itself where all is. */
const answerOf = ({ index, images, documents }: OutgoingIndex): StoredManifest => {
  const here = new Set<unknown>([
    ...images.map(({ manifest }) => manifest.digest),
    ...documents.map(({ digest }) => digest),
  ]);
  const object = asObject(decodeJson(index.document, "index"), "index");
  const all = asArray(object["manifests"], "manifests").map((item) => asObject(item, "entry"));
  const manifests = all.filter((entry) => here.has(entry["digest"]));
  if (manifests.length === all.length) return stored(index);
  const text = JSON.stringify({ ...object, manifests }, undefined, 2);
  const sizeBytes = Buffer.byteLength(text);
  return { digest: digestOf(text), mediaType: index.mediaType, text, sizeBytes };
};

const isDefined = <T>(value: T | undefined): value is T => value !== undefined;

/** See `Images.servedIndex`. */
export const serveIndex = async (
  dependencies: ImageDependencies,
  catalog: Catalog,
  name: string,
  signal: AbortSignal,
): Promise<ServedIndex> => {
  const { content, rows } = dependencies;
  const { id, target } = catalog.named(name);
  const outgoing =
    target === undefined || !rows.manifests.has(target)
      ? undefined
      : await outgoingIndex(dependencies, catalog, target, signal);
  const original = target === undefined ? undefined : rows.manifests.get(target);
  const images = outgoing?.images ?? [];
  const row = catalog.row(id);
  const artifact = isArtifact(row) ? rows.manifests.get(row.id) : undefined;
  const single = artifact === undefined ? undefined : stored(artifact);
  const answer = outgoing === undefined ? single : answerOf(outgoing);
  const isWhole = outgoing === undefined || answer?.digest === outgoing.index.digest;
  const [only, another] = images;
  const isSingle = !isWhole && only !== undefined && another === undefined;
  const documents = [artifact, original, outgoing?.index, ...(outgoing?.documents ?? [])].filter(
    isDefined,
  );
  const subjects = [
    ...documents.map(({ digest }) => digest),
    ...images.map(({ manifest }) => manifest.digest),
    row.manifestDigest,
  ].filter(isDefined);
  const referrers = referrersOf(catalog, subjects);
  const referring = referrers.map((digest) => referrerRow(dependencies, catalog, digest));
  const own = artifact === undefined ? [] : blobsOfKept(dependencies, catalog, artifact.digest);
  const blobs = [
    ...own.flatMap(({ digest }) => content.info(digest) ?? []),
    ...referring.flatMap((one) => one.blobs),
  ];
  const told = referring.flatMap((one) => one.referrers);
  return {
    ...(answer === undefined || isSingle ? {} : { answer }),
    ...(isSingle ? { only } : {}),
    documents: [...documents, ...referring.flatMap((one) => one.documents), ...told].map(stored),
    images,
    referrers,
    attached: told.flatMap(({ tag, digest }) => (tag === undefined ? [] : [{ tag, digest }])),
    blobs: [...(outgoing?.blobs ?? []), ...blobs],
  };
};
