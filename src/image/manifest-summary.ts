/** What an image's manifests look like to a client: every platform, here or not, with its sizes. */
import { isArtifact } from "#image/artifact.ts";
import type { Catalog } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import { type IndexMember, REFERENCE_DIGEST } from "#image/indexes.ts";
import { blobsOfKept } from "#image/manifests.ts";
import type { ImageRow } from "#metadata/images.ts";
import type { ManifestSummary, OciDescriptor } from "#spec/docker/image.ts";
import { platformOf } from "#spec/image/config.ts";
import type { Digest } from "#spec/image/digest.ts";
import { parseManifest } from "#spec/image/manifest.ts";
import type { Platform } from "#spec/image/platform.ts";

type Parts = Pick<ImageDependencies, "rows" | "content" | "users">;

const platformBody = ({ architecture, os, osVersion, variant }: Platform) => ({
  architecture,
  os,
  ...(osVersion === undefined ? {} : { "os.version": osVersion }),
  ...(variant === undefined ? {} : { variant }),
});

/** Stored bytes of the image's layers and config, as the manifest at hand has them. */
const contentSize = ({ rows, content }: Parts, row: ImageRow): number => {
  const layers = row.config.rootfs.diff_ids.map((diffId) => {
    const here = rows.layerBlobs(diffId).filter(({ digest }) => content.info(digest));
    return here.at(-1)?.sizeBytes ?? 0;
  });
  return layers.reduce((sum, size) => sum + size, Buffer.byteLength(row.configText));
};

const keptSize = (parts: Parts, catalog: Catalog, digest: Digest): number =>
  blobsOfKept(parts, catalog, digest).reduce((sum, blob) => sum + blob.size, 0);

const imageData = (
  { users }: Parts,
  { image, descriptor }: Pick<IndexMember, "image" | "descriptor">,
): NonNullable<ManifestSummary["ImageData"]> => {
  const given = descriptor.platform ?? (image === undefined ? undefined : platformOf(image.config));
  return {
    Platform: given === undefined ? {} : platformBody(given),
    Containers: image === undefined ? [] : users.containersOf(image.id).map(({ id }) => id),
    Size: { Unpacked: image?.sizeBytes ?? 0 },
  };
};

const summaryOf = (parts: Parts, catalog: Catalog, member: IndexMember): ManifestSummary => {
  const { descriptor, entry, image, isAvailable, kind } = member;
  const own = isAvailable ? descriptor.size : 0;
  const below =
    image === undefined ? keptSize(parts, catalog, descriptor.digest) : contentSize(parts, image);
  const Content = own + below;
  const subject = descriptor.annotations?.[REFERENCE_DIGEST];
  return {
    ID: descriptor.digest,
    Descriptor: entry,
    Available: isAvailable,
    Size: { Content, Total: Content + (image?.sizeBytes ?? 0) },
    Kind: kind,
    ...(kind === "image" ? { ImageData: imageData(parts, member) } : {}),
    ...(kind === "attestation" && subject !== undefined
      ? { AttestationData: { For: subject } }
      : {}),
  };
};

/** The manifest that a single image came with. */
const ownManifest = (
  { content }: Parts,
  row: ImageRow,
): { descriptor: IndexMember["descriptor"]; entry: OciDescriptor } | undefined => {
  if (isArtifact(row)) {
    const { mediaType } = parseManifest(row.configText);
    const own = { mediaType, digest: row.id, size: Buffer.byteLength(row.configText) };
    return { descriptor: own, entry: own };
  }
  const digest = row.manifestDigest;
  if (digest === undefined || content.info(digest) === undefined) return undefined;
  const text = content.readText(digest);
  const { mediaType } = parseManifest(text);
  const size = Buffer.byteLength(text);
  return { descriptor: { mediaType, digest, size }, entry: { mediaType, digest, size } };
};

/** What a name stands for; undefined for an image that never had a manifest: it was built here. `target`: its index. */
export const descriptorOf = (
  parts: Parts,
  row: ImageRow,
  target: Digest | undefined,
): OciDescriptor | undefined => {
  const index = target === undefined ? undefined : parts.rows.manifests.get(target);
  if (index === undefined) return ownManifest(parts, row)?.entry;
  const { digest, mediaType, document } = index;
  return { mediaType, digest, size: Buffer.byteLength(document) };
};

/** Every manifest that the name stands for. */
export const manifestsOf = (
  parts: Parts,
  catalog: Catalog,
  row: ImageRow,
  target: Digest | undefined,
): readonly ManifestSummary[] => {
  const members = target === undefined ? [] : catalog.indexes.members(target);
  if (members.length > 0) return members.map((member) => summaryOf(parts, catalog, member));
  const own = ownManifest(parts, row);
  if (own === undefined) return [];
  const kind = isArtifact(row) ? "unknown" : "image";
  const image = isArtifact(row) ? undefined : row;
  return [summaryOf(parts, catalog, { ...own, kind, image, isAvailable: true })];
};
