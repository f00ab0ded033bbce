/**
 * `docker save`: an archive that is an OCI layout and a Docker archive at once, made of headers in
 * memory and ranges of blob files, so that nothing is copied before it is sent. The same images give
 * the same bytes.
 */
import { ArchivePlan, blobName } from "#image/archive-plan.ts";
import { type Catalog, familiarRow } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import { publishImageEvent } from "#image/event.ts";
import type { SavedArchive } from "#image/image.ts";
import { ensureLayerBlobs } from "#image/layer-blobs.ts";
import { streamSegments } from "#image/segments.ts";
import { NaruError } from "#lib/errors.ts";
import type { ImageRow, LayerBlobRow } from "#metadata/images.ts";
import { CONTAINERD_NAME, REF_NAME } from "#spec/image/descriptor.ts";
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

interface Wanted {
  readonly row: ImageRow;
  readonly references: Reference[];
}

/** An image named twice is saved once, under both names; a bare repository means all its tags. */
const wantedImages = (
  { rows }: ImageDependencies,
  catalog: Catalog,
  names: readonly string[],
  platform: Platform | undefined,
): Wanted[] => {
  const wanted = new Map<Digest, Wanted>();
  const want = (id: Digest, reference?: Reference): void => {
    const entry = wanted.get(id) ?? { row: catalog.row(id), references: [] };
    wanted.set(id, entry);
    if (reference?.tag === undefined) return;
    const text = formatReference(reference);
    if (entry.references.some((known) => formatReference(known) === text)) return;
    entry.references.push(reference);
  };
  for (const name of names) {
    const any = parseAnyReference(name);
    const isBare =
      any.kind === "name" && any.reference.tag === undefined && any.reference.digest === undefined;
    if (any.kind === "name" && isBare) {
      const repository = repositoryOf(any.reference);
      const tagged = rows
        .references()
        .filter((row) => row.repository === repository && row.tag !== undefined);
      for (const row of tagged) {
        const { id } = catalog.chosen(familiarRow(row), platform);
        want(id, { ...any.reference, ...(row.tag === undefined ? {} : { tag: row.tag }) });
      }
      if (tagged.length > 0) continue;
    }
    const id = catalog.resolve(name);
    const chosen = catalog.chosen(name, platform).id;
    const reference = any.kind === "name" ? withDefaultTag(any.reference) : undefined;
    const isByName =
      reference?.tag !== undefined &&
      rows.findReference(repositoryOf(reference), reference.tag) === id;
    want(chosen, isByName ? reference : undefined);
  }
  return [...wanted.values()];
};

/** The plain tar where there is one: every loader takes it, and none has to inflate it. */
const blobOf = ({ rows, content }: ImageDependencies, diffId: Digest): LayerBlobRow => {
  const blob = rows.layerBlobs(diffId).find(({ digest }) => content.info(digest) !== undefined);
  if (blob !== undefined) return blob;
  throw new NaruError("data_loss", `the content of layer "${diffId}" is not stored here any more`);
};

interface SavedImage {
  readonly manifest: { readonly digest: Digest; readonly size: number };
  readonly layers: readonly LayerBlobRow[];
}

const addImage = (
  dependencies: ImageDependencies,
  plan: ArchivePlan,
  { row }: Wanted,
): SavedImage => {
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
  return { manifest: { digest, size: Buffer.byteLength(text) }, layers };
};

const indexEntries = ({ references }: Wanted, saved: SavedImage): object[] => {
  const descriptor = { mediaType: OCI_MANIFEST, ...saved.manifest };
  if (references.length === 0) return [descriptor];
  return references.map((reference) => ({
    ...descriptor,
    annotations: {
      [CONTAINERD_NAME]: formatReference(reference),
      [REF_NAME]: reference.tag,
    },
  }));
};

const repositoriesOf = (wanted: readonly Wanted[]): Record<string, Record<string, string>> => {
  const repositories: Record<string, Record<string, string>> = {};
  for (const { row, references } of wanted) {
    const top = row.config.rootfs.diff_ids.at(-1);
    for (const reference of references) {
      if (top === undefined || reference.tag === undefined) continue;
      const name = familiarName(reference);
      repositories[name] = { ...repositories[name], [reference.tag]: hexOf(top) };
    }
  }
  return repositories;
};

const planArchive = (dependencies: ImageDependencies, wanted: readonly Wanted[]): ArchivePlan => {
  const plan = new ArchivePlan();
  plan.directory("blobs");
  plan.directory("blobs/sha256");
  const index: object[] = [];
  const manifests: object[] = [];
  for (const item of wanted) {
    const saved = addImage(dependencies, plan, item);
    index.push(...indexEntries(item, saved));
    manifests.push({
      Config: blobName(item.row.id),
      RepoTags: item.references.length === 0 ? null : item.references.map(familiarString),
      Layers: saved.layers.map((layer) => blobName(layer.digest)),
    });
  }
  plan.document(
    "index.json",
    JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: index }),
  );
  plan.document("manifest.json", JSON.stringify(manifests));
  plan.document("oci-layout", '{"imageLayoutVersion":"1.0.0"}');
  const repositories = repositoriesOf(wanted);
  if (Object.keys(repositories).length > 0) {
    plan.document("repositories", JSON.stringify(repositories));
  }
  plan.end();
  return plan;
};

/** See `Images.save`. */
export const saveImages = async (
  dependencies: ImageDependencies,
  catalog: Catalog,
  names: readonly string[],
  signal: AbortSignal,
  platform?: Platform,
): Promise<SavedArchive> => {
  signal.throwIfAborted();
  if (names.length === 0) throw new NaruError("invalid_argument", "no image to save was named");
  const wanted = wantedImages(dependencies, catalog, names, platform);
  for (const { row } of wanted) await ensureLayerBlobs(dependencies, row, signal);
  const plan = planArchive(dependencies, wanted);
  const lease = dependencies.leases.acquire(
    wanted.flatMap(({ row }) =>
      row.config.rootfs.diff_ids.map((diffId) => ({
        kind: "blob" as const,
        resource: blobOf(dependencies, diffId).digest,
      })),
    ),
  );
  for (const { row } of wanted) publishImageEvent(dependencies, "save", row.id);
  return {
    sizeBytes: plan.sizeBytes,
    segments: plan.segments,
    stream: (streamSignal) => streamSegments(plan.segments, streamSignal),
    [Symbol.dispose]: () => lease[Symbol.dispose](),
  };
};
