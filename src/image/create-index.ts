/** An index over images that are here: what a build for several platforms ends with. */
import type { Catalog } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import type {
  CreatedIndex,
  NewIndex,
  NewIndexMember,
  StoredManifest,
} from "#image/index-document.ts";
import { type IndexImage, manifestRow, registerIndex } from "#image/register-index.ts";
import { serveImage } from "#image/served.ts";
import { NaruError } from "#lib/errors.ts";
import type { ManifestRow } from "#metadata/image-manifests.ts";
import { platformOf } from "#spec/image/config.ts";
import { digestOf } from "#spec/image/digest.ts";
import { parseManifest } from "#spec/image/manifest.ts";
import { OCI_INDEX } from "#spec/image/media-type.ts";
import type { Platform } from "#spec/image/platform.ts";

/** See `Images.manifestOf`. */
export const manifestOfImage = async (
  dependencies: ImageDependencies,
  catalog: Catalog,
  name: string,
  signal: AbortSignal,
): Promise<StoredManifest> => {
  const { manifest } = await serveImage(dependencies, catalog, name, signal);
  const { digest, mediaType, content } = manifest;
  return { digest, mediaType, sizeBytes: content.length, text: Buffer.from(content).toString() };
};

const platformBody = ({ architecture, os, osVersion, variant }: Platform): object => ({
  architecture,
  os,
  ...(osVersion === undefined ? {} : { "os.version": osVersion }),
  ...(variant === undefined ? {} : { variant }),
});

interface Described {
  readonly entry: object;
  readonly image?: IndexImage;
  readonly document?: ManifestRow;
}

const describeImage = async (
  dependencies: ImageDependencies,
  catalog: Catalog,
  member: Extract<NewIndexMember, { readonly image: unknown }>,
  signal: AbortSignal,
): Promise<Described> => {
  const row = catalog.row(member.image);
  const { text, mediaType, digest, sizeBytes } = await manifestOfImage(
    dependencies,
    catalog,
    member.image,
    signal,
  );
  const platform = member.platform ?? platformOf(row.config);
  const layers = row.config.rootfs.diff_ids.map((diffId) => ({
    diffId,
    sizeBytes: dependencies.rows.layerSize(diffId) ?? 0,
    blobs: [],
  }));
  return {
    entry: {
      mediaType,
      digest,
      size: sizeBytes,
      ...(member.annotations === undefined ? {} : { annotations: member.annotations }),
      platform: platformBody(platform),
    },
    image: {
      image: { configText: row.configText, layers },
      manifest: manifestRow(text, mediaType, digest),
    },
  };
};

const describeKept = (
  { content }: ImageDependencies,
  member: Extract<NewIndexMember, { readonly manifest: unknown }>,
): Described => {
  const { mediaType, config, layers } = parseKept(member.manifest);
  const given = new Map(member.blobs.map((blob) => [String(digestOf(blob)), blob]));
  for (const { digest } of [config, ...layers]) {
    const blob = given.get(digest);
    if (blob !== undefined) content.write(blob);
    else if (content.info(digest) === undefined) {
      throw new NaruError("failed_precondition", `blob "${digest}" of a manifest is not stored`);
    }
  }
  const document = manifestRow(member.manifest, mediaType);
  const { annotations, platform } = member;
  return {
    entry: {
      mediaType,
      digest: document.digest,
      size: Buffer.byteLength(member.manifest),
      ...(annotations === undefined ? {} : { annotations }),
      ...(platform === undefined ? {} : { platform: platformBody(platform) }),
    },
    document,
  };
};

const parseKept = (text: string) => {
  const manifest = parseManifest(text);
  if (manifest.kind === "manifest") return manifest;
  throw new NaruError("invalid_argument", "an index cannot be a member that is kept");
};

/** See `Images.createIndex`. */
export const createIndex = async (
  dependencies: ImageDependencies,
  catalog: Catalog,
  { members, references, annotations }: NewIndex,
  signal: AbortSignal,
): Promise<CreatedIndex> => {
  const described: Described[] = [];
  for (const member of members) {
    if ("manifest" in member) continue;
    described.push(await describeImage(dependencies, catalog, member, signal));
  }
  signal.throwIfAborted();
  // From here on everything is synchronous: no sweep can come between the blobs and the rows that need them.
  for (const member of members) {
    if ("manifest" in member) described.push(describeKept(dependencies, member));
  }
  const text = JSON.stringify(
    {
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      manifests: described.map(({ entry }) => entry),
      ...(annotations === undefined ? {} : { annotations }),
    },
    undefined,
    2,
  );
  const index = manifestRow(text, OCI_INDEX);
  const imageId = registerIndex(dependencies, catalog.indexes, {
    target: index.digest,
    documents: [index, ...described.flatMap(({ document }) => document ?? [])],
    images: described.flatMap(({ image }) => image ?? []),
    references,
  });
  return { digest: index.digest, text, imageId };
};
