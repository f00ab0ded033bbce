/** An index as a registry would have it: what its name answers with, and the manifests and blobs below. */
import type { Catalog } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import type { ServedIndex, StoredManifest } from "#image/index-document.ts";
import type { IndexMember } from "#image/indexes.ts";
import { blobsOfKept } from "#image/manifests.ts";
import { asObject, decodeJson } from "#spec/image/decode.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";

const stored = (
  { rows }: Pick<ImageDependencies, "rows">,
  digest: Digest,
): StoredManifest | undefined => {
  const row = rows.manifests.get(digest);
  if (row === undefined) return undefined;
  const { document: text, mediaType } = row;
  return { digest, mediaType, text, sizeBytes: Buffer.byteLength(text) };
};

/** Of an index of which not all is here: the same with the members that are, so that nobody is led to what is missing. */
const reduced = (index: StoredManifest, here: readonly IndexMember[]): StoredManifest => {
  const object = asObject(decodeJson(index.text, "index"), "index");
  const manifests = here.map(({ entry }) => entry);
  const text = JSON.stringify({ ...object, manifests }, undefined, 2);
  const { mediaType } = index;
  return { digest: digestOf(text), mediaType, text, sizeBytes: Buffer.byteLength(text) };
};

/** Indexes below it, and itself. */
const indexesBelow = (catalog: Catalog, target: Digest, depth = 0): readonly Digest[] => {
  const document = catalog.indexes.document(target);
  if (document?.kind !== "index" || depth > 4) return [];
  const below = document.manifests.flatMap(({ digest }) =>
    indexesBelow(catalog, digest, depth + 1),
  );
  return [target, ...below];
};

/** What refers to the digests, and what refers to that. */
const referrersOf = (catalog: Catalog, subjects: readonly Digest[]): readonly Digest[] => {
  const found = new Set<Digest>();
  const queue = [...subjects];
  for (let subject = queue.pop(); subject !== undefined; subject = queue.pop()) {
    for (const digest of catalog.indexes.referrers(subject)) {
      if (found.has(digest)) continue;
      found.add(digest);
      queue.push(digest);
    }
  }
  return [...found];
};

/** See `Images.servedIndex`. */
export const serveIndex = (
  dependencies: Pick<ImageDependencies, "rows" | "content">,
  catalog: Catalog,
  name: string,
): ServedIndex => {
  const { content } = dependencies;
  const { id, target } = catalog.named(name);
  const members = target === undefined ? [] : catalog.indexes.members(target);
  const here = members.filter(({ isAvailable }) => isAvailable);
  const images = here.flatMap(({ image, descriptor }) =>
    image === undefined ? [] : [{ imageId: image.id, manifest: descriptor.digest }],
  );
  const index = target === undefined ? undefined : stored(dependencies, target);
  const isWhole = here.length === members.length;
  const [onlyImage, another] = images;
  const isSingle = !isWhole && onlyImage !== undefined && another === undefined;
  const answer =
    index === undefined || isSingle ? undefined : isWhole ? index : reduced(index, here);
  const own = catalog.row(id).manifestDigest;
  const indexes = target === undefined ? [] : indexesBelow(catalog, target);
  const manifests = images.map(({ manifest }) => manifest);
  const kept = here.flatMap(({ image, descriptor }) =>
    image === undefined ? [descriptor.digest] : [],
  );
  const subjects = [...indexes, ...manifests, ...(own === undefined ? [] : [own])];
  const referrers = referrersOf(catalog, subjects);
  const keptBlobs = [...kept, ...referrers].flatMap((digest) =>
    blobsOfKept(dependencies, catalog, digest),
  );
  return {
    ...(answer === undefined ? {} : { answer }),
    ...(isSingle ? { only: onlyImage } : {}),
    documents: [...new Set([...indexes, ...kept, ...referrers])].flatMap(
      (digest) => stored(dependencies, digest) ?? [],
    ),
    images,
    referrers,
    blobs: keptBlobs.flatMap(({ digest }) => content.info(digest) ?? []),
  };
};
