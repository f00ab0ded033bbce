/**
 * A manifest as a registry sees it: what it needs (blobs, other manifests), what it says of another one
 * (subject), and how it is listed among the referrers. image-spec 1.1 manifest.md, image-index.md;
 * distribution-spec 1.1.1 "Listing Referrers".
 */
import { NaruError } from "#lib/errors.ts";
import { distributionError } from "#spec/distribution/errors.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import type { Digest } from "#spec/image/digest.ts";
import { parseManifest } from "#spec/image/manifest.ts";
import { isIndexType, isManifestType } from "#spec/image/media-type.ts";
import type { Platform } from "#spec/image/platform.ts";

/** Larger ones are refused with 413; the spec asks for at least this much. */
export const MANIFEST_LIMIT_BYTES = 4 * 1024 * 1024;

export interface ManifestDocument {
  readonly mediaType: string;
  /** Of the referrers list: the manifest's own, else the media type of its config; "" for a plain index. */
  readonly artifactType: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly subject: Digest | undefined;
  /** Config, layers, and an index's items that are no manifests: they must be there. Layers meant to be fetched elsewhere are left out. */
  readonly blobs: readonly Descriptor[];
  /** An index's manifests. */
  readonly manifests: readonly (Descriptor & { readonly platform?: Platform })[];
}

/** Layers that registries do not hold (image-spec layer.md#non-distributable-layers, Docker's foreign layers). */
const isForeign = (mediaType: string): boolean =>
  mediaType.startsWith("application/vnd.oci.image.layer.nondistributable.") ||
  mediaType.startsWith("application/vnd.docker.image.rootfs.foreign.");

/** Build caches list layers in an index: what is of no manifest's type lies among the blobs. */
const isManifest = ({ mediaType }: Descriptor): boolean =>
  mediaType === "" || isManifestType(mediaType) || isIndexType(mediaType);

/** Content-Type without its parameters. */
export const plainMediaType = (field: string): string =>
  (field.split(";")[0] ?? "").trim().toLowerCase();

const jsonOf = (text: string): { mediaType?: unknown; schemaVersion?: unknown } | null => {
  try {
    return JSON.parse(text) as { mediaType?: unknown; schemaVersion?: unknown } | null;
  } catch (cause) {
    throw distributionError("MANIFEST_INVALID", "the manifest is not JSON", { cause });
  }
};

/** Of what is pushed: other registries and clients refuse anything else later. Throws MANIFEST_INVALID. */
export const checkSchemaVersion = (text: string): void => {
  const version = jsonOf(text)?.schemaVersion;
  if (version === 2) return;
  throw distributionError(
    "MANIFEST_INVALID",
    `schemaVersion must be 2, ${version === undefined ? "it is missing" : `not ${JSON.stringify(version).slice(0, 40)}`}`,
  );
};

const checkType = (text: string, contentType: string): string => {
  const own = jsonOf(text)?.mediaType;
  const isKnown = isIndexType(contentType) || isManifestType(contentType);
  if (contentType !== "" && !isKnown && contentType !== "application/json") {
    throw distributionError(
      "MANIFEST_INVALID",
      `manifests of type "${contentType.slice(0, 120)}" are not supported: use an OCI or Docker schema 2 manifest or index`,
    );
  }
  if (typeof own === "string" && own !== "" && isKnown && own !== contentType) {
    throw distributionError(
      "MANIFEST_INVALID",
      `the manifest says of itself "${own.slice(0, 120)}", but Content-Type says "${contentType}"`,
    );
  }
  return isKnown ? contentType : "";
};

/** Throws MANIFEST_INVALID, saying which field is wrong. */
export const readManifestDocument = (text: string, contentType: string): ManifestDocument => {
  const mediaType = checkType(text, contentType);
  try {
    const manifest = parseManifest(text, mediaType);
    const { annotations, subject } = manifest;
    const isImage = manifest.kind === "manifest";
    return {
      mediaType: manifest.mediaType,
      artifactType: manifest.artifactType ?? (isImage ? manifest.config.mediaType : ""),
      annotations,
      subject: subject?.digest,
      blobs: isImage
        ? [manifest.config, ...manifest.layers.filter((layer) => !isForeign(layer.mediaType))]
        : manifest.manifests.filter((item) => !isManifest(item)),
      manifests: isImage ? [] : manifest.manifests.filter(isManifest),
    };
  } catch (cause) {
    if (!(cause instanceof NaruError)) throw cause;
    throw distributionError("MANIFEST_INVALID", cause.message, { cause });
  }
};
