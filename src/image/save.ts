/**
 * `docker save`: an archive that is an OCI layout and a Docker archive at once, made of headers in
 * memory and ranges of blob files, so that nothing is copied before it is sent. The same images give
 * the same bytes.
 */
import { ArchivePlan, blobName } from "#image/archive-plan.ts";
import { type Catalog, familiarRow, toReference } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import { publishImageEvent } from "#image/event.ts";
import type { SavedArchive } from "#image/archive-segment.ts";
import { ensureLayerBlobs } from "#image/layer-blobs.ts";
import { outgoingIndex } from "#image/outgoing.ts";
import { type OutgoingRoot, outgoingSingle, withReferrers } from "#image/outgoing-root.ts";
import { descriptorOf } from "#image/referrers.ts";
import { streamSegments } from "#image/segments.ts";
import { NaruError } from "#lib/errors.ts";
import type { ImageRow, LayerBlobRow } from "#metadata/images.ts";
import { CONTAINERD_NAME, type Descriptor, REF_NAME } from "#spec/image/descriptor.ts";
import { type Digest, digestOf, hexOf } from "#spec/image/digest.ts";
import { OCI_CONFIG, OCI_INDEX, OCI_MANIFEST } from "#spec/image/media-type.ts";
import type { Platform } from "#spec/image/platform.ts";
import {
  type Reference,
  familiarName,
  familiarString,
  formatReference,
  parseAnyReference,
  repositoryOf,
  withDefaultTag,
} from "#spec/image/reference.ts";

interface WantedImage {
  readonly row: ImageRow;
  readonly references: Reference[];
}
/** Several platforms under one name, an artifact, or an image with what refers to it: word for word. */
interface WantedWhole {
  readonly main: ImageRow;
  readonly outgoing: OutgoingRoot;
  readonly references: Reference[];
}
type Wanted = WantedImage | WantedWhole;

/** What a name gives, before it is looked up: a bare repository means all its tags. */
const expandName = (
  { rows }: ImageDependencies,
  catalog: Catalog,
  name: string,
): readonly { readonly name: string; readonly reference?: Reference }[] => {
  const any = parseAnyReference(name);
  if (any.kind !== "name") return [{ name }];
  const { reference } = any;
  if (reference.tag === undefined && reference.digest === undefined) {
    const repository = repositoryOf(reference);
    const tagged = rows
      .references()
      .filter((row) => row.repository === repository && row.tag !== undefined)
      .map((row) => ({ name: familiarRow(row), reference: toReference(row) }));
    if (tagged.length > 0) return tagged;
  }
  const whole = withDefaultTag(reference);
  const isByName =
    whole.tag !== undefined &&
    whole.digest === undefined &&
    rows.findReference(repositoryOf(whole), whole.tag) === catalog.resolve(name);
  return [isByName ? { name, reference: whole } : { name }];
};

/** The manifests of an index that serve the platforms. Throws not_found for one that is not here. */
const membersFor = (
  catalog: Catalog,
  name: string,
  target: Digest,
  platforms: readonly Platform[],
): ReadonlySet<Digest> => {
  const rows = platforms.map((platform) => catalog.chosen(name, platform));
  const members = catalog.indexes.members(target);
  return new Set(
    members.flatMap(({ image, descriptor }) =>
      image !== undefined && rows.includes(image) ? [descriptor.digest] : [],
    ),
  );
};

const wantedOf = async (
  dependencies: ImageDependencies,
  catalog: Catalog,
  name: string,
  platforms: readonly Platform[],
  signal: AbortSignal,
): Promise<Wanted> => {
  const { id, target } = catalog.named(name);
  const [first, ...more] = platforms;
  const here = target === undefined ? [] : catalog.indexes.members(target);
  const isSeveral = here.filter(({ isAvailable }) => isAvailable).length > 1;
  if (target !== undefined && isSeveral && (first === undefined || more.length > 0)) {
    const wanted = first === undefined ? undefined : membersFor(catalog, name, target, platforms);
    const outgoing = await outgoingIndex(dependencies, catalog, target, signal, wanted);
    const whole = { ...outgoing, root: outgoing.index };
    return {
      main: catalog.row(id),
      outgoing: withReferrers(dependencies, catalog, whole),
      references: [],
    };
  }
  const rows = platforms.map((platform) => catalog.chosen(name, platform));
  const row = rows[0] ?? catalog.row(id);
  const whole = await outgoingSingle(dependencies, catalog, row, signal);
  if (whole !== undefined) return { main: row, outgoing: whole, references: [] };
  await ensureLayerBlobs(dependencies, row, signal);
  return { row, references: [] };
};

const keyOf = (wanted: Wanted): Digest =>
  "row" in wanted ? wanted.row.id : wanted.outgoing.root.digest;

/** What is named twice is saved once, under both names. */
const wantedImages = async (
  dependencies: ImageDependencies,
  catalog: Catalog,
  names: readonly string[],
  platforms: readonly Platform[],
  signal: AbortSignal,
): Promise<Wanted[]> => {
  const wanted = new Map<Digest, Wanted>();
  const expanded = names.flatMap((name) => expandName(dependencies, catalog, name));
  for (const { name, reference } of expanded) {
    const made = await wantedOf(dependencies, catalog, name, platforms, signal);
    const entry = wanted.get(keyOf(made)) ?? made;
    wanted.set(keyOf(made), entry);
    if (reference === undefined) continue;
    const text = formatReference(reference);
    if (entry.references.some((known) => formatReference(known) === text)) continue;
    entry.references.push(reference);
  }
  return [...wanted.values()];
};

/** The plain tar where there is one: every loader takes it, and none has to inflate it. */
const blobOf = ({ rows, content }: ImageDependencies, diffId: Digest): LayerBlobRow => {
  const blob = rows.layerBlobs(diffId).find(({ digest }) => content.info(digest) !== undefined);
  if (blob !== undefined) return blob;
  throw new NaruError("data_loss", `the content of layer "${diffId}" is not stored here any more`);
};

/** What index.json and manifest.json say of it. */
interface Saved {
  readonly descriptor: Descriptor;
  /** Descriptors without a name beside it. */
  readonly referrers: readonly Descriptor[];
  /** Of a container image, which manifest.json can tell of. */
  readonly image?: {
    readonly id: Digest;
    readonly top: Digest | undefined;
    readonly layers: readonly Digest[];
  };
}

const addImage = (
  dependencies: ImageDependencies,
  plan: ArchivePlan,
  { row }: WantedImage,
): Saved => {
  const layers = row.config.rootfs.diff_ids.map((diffId) => blobOf(dependencies, diffId));
  for (const layer of layers) {
    plan.file(blobName(layer.digest), dependencies.content.path(layer.digest), layer.sizeBytes);
  }
  plan.document(blobName(row.id), row.configText);
  const text = JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: OCI_CONFIG, digest: row.id, size: Buffer.byteLength(row.configText) },
    layers: layers.map(({ mediaType, digest, sizeBytes }) => ({
      mediaType,
      digest,
      size: sizeBytes,
    })),
  });
  const digest = digestOf(text);
  plan.document(blobName(digest), text);
  return {
    descriptor: { mediaType: OCI_MANIFEST, digest, size: Buffer.byteLength(text) },
    referrers: [],
    image: {
      id: row.id,
      top: row.config.rootfs.diff_ids.at(-1),
      layers: layers.map((layer) => layer.digest),
    },
  };
};

/** manifest.json has one platform: the main one, or the first where that is not wanted. */
const addWhole = (plan: ArchivePlan, { main, outgoing }: WantedWhole): Saved => {
  const { root, documents, images, blobs, referrers } = outgoing;
  for (const { config, imageId, layers, manifest } of images) {
    for (const layer of layers) plan.file(blobName(layer.digest), layer.path, layer.sizeBytes);
    plan.document(blobName(imageId), config);
    plan.document(blobName(manifest.digest), manifest.content);
  }
  for (const blob of blobs) plan.file(blobName(blob.digest), blob.path, blob.sizeBytes);
  for (const { digest, document } of [...documents, ...referrers, root]) {
    plan.document(blobName(digest), document);
  }
  const shown = images.find(({ imageId }) => imageId === main.id) ?? images[0];
  const { annotations: _, artifactType, ...descriptor } = descriptorOf(root);
  const referring = referrers.map((row) => {
    const told = descriptorOf(row);
    if (row.tag === undefined) return told;
    return { ...told, annotations: { ...told.annotations, [REF_NAME]: row.tag } };
  });
  if (shown === undefined) {
    const kind = artifactType === undefined ? {} : { artifactType };
    return { descriptor: { ...descriptor, ...kind }, referrers: referring };
  }
  const layers = shown.layers.map((layer) => layer.digest);
  return {
    descriptor,
    referrers: referring,
    image: { id: shown.imageId, top: main.config.rootfs.diff_ids.at(-1), layers },
  };
};

const indexEntries = (references: readonly Reference[], { descriptor }: Saved): object[] =>
  references.length === 0
    ? [descriptor]
    : references.map((reference) => ({
        ...descriptor,
        annotations: {
          [CONTAINERD_NAME]: formatReference(reference),
          [REF_NAME]: reference.tag,
        },
      }));

type Repositories = Record<string, Record<string, string>>;

const addRepositories = (
  repositories: Repositories,
  references: readonly Reference[],
  { image }: Saved,
): void => {
  const top = image?.top;
  for (const reference of references) {
    if (top === undefined || reference.tag === undefined) continue;
    const name = familiarName(reference);
    repositories[name] = { ...repositories[name], [reference.tag]: hexOf(top) };
  }
};

const planArchive = (dependencies: ImageDependencies, wanted: readonly Wanted[]): ArchivePlan => {
  const plan = new ArchivePlan();
  plan.directory("blobs");
  plan.directory("blobs/sha256");
  const index: object[] = [];
  const manifests: object[] = [];
  const repositories: Repositories = {};
  for (const item of wanted) {
    const { references } = item;
    const saved = "row" in item ? addImage(dependencies, plan, item) : addWhole(plan, item);
    index.push(...indexEntries(references, saved), ...saved.referrers);
    addRepositories(repositories, references, saved);
    if (saved.image === undefined) continue;
    manifests.push({
      Config: blobName(saved.image.id),
      RepoTags: references.length === 0 ? null : references.map(familiarString),
      Layers: saved.image.layers.map(blobName),
    });
  }
  plan.document(
    "index.json",
    JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: index }),
  );
  if (manifests.length > 0) plan.document("manifest.json", JSON.stringify(manifests));
  plan.document("oci-layout", '{"imageLayoutVersion":"1.0.0"}');
  if (Object.keys(repositories).length > 0) {
    plan.document("repositories", JSON.stringify(repositories));
  }
  plan.end();
  return plan;
};

const blobsOf = (dependencies: ImageDependencies, wanted: Wanted): readonly Digest[] => {
  if ("row" in wanted) {
    return wanted.row.config.rootfs.diff_ids.map((diffId) => blobOf(dependencies, diffId).digest);
  }
  const { blobs, images } = wanted.outgoing;
  return [...blobs, ...images.flatMap(({ layers }) => layers)].map(({ digest }) => digest);
};

/** See `Images.save`. */
export const saveImages = async (
  dependencies: ImageDependencies,
  catalog: Catalog,
  names: readonly string[],
  signal: AbortSignal,
  platforms: readonly Platform[] = [],
): Promise<SavedArchive> => {
  signal.throwIfAborted();
  if (names.length === 0) throw new NaruError("invalid_argument", "no image to save was named");
  const wanted = await wantedImages(dependencies, catalog, names, platforms, signal);
  const plan = planArchive(dependencies, wanted);
  const blobs = wanted.flatMap((one) => blobsOf(dependencies, one));
  const lease = dependencies.leases.acquire(
    [...new Set(blobs)].map((resource) => ({ kind: "blob" as const, resource })),
  );
  for (const one of wanted) {
    publishImageEvent(dependencies, "save", "row" in one ? one.row.id : one.main.id);
  }
  return {
    sizeBytes: plan.sizeBytes,
    segments: plan.segments,
    stream: (streamSignal) => streamSegments(plan.segments, streamSignal),
    [Symbol.dispose]: () => lease[Symbol.dispose](),
  };
};
