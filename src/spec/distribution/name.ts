/** Names of repositories and tags: distribution-spec 1.1.1, "Pulling manifests". */
import { distributionError } from "#spec/distribution/errors.ts";
import { type Digest, isDigest, parseDigest } from "#spec/image/digest.ts";

const NAME_LENGTH_MAX = 255;
const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

const shown = (text: string): string => JSON.stringify(text.slice(0, 80));

/** Throws NAME_INVALID. */
export const parseRepositoryName = (text: string): string => {
  if (text.length > NAME_LENGTH_MAX) {
    throw distributionError(
      "NAME_INVALID",
      `repository name ${shown(text)} is longer than ${NAME_LENGTH_MAX} characters`,
    );
  }
  if (NAME.test(text)) return text;
  throw distributionError(
    "NAME_INVALID",
    `${shown(text)} is not a repository name: lower-case letters and digits, with ".", "_", "__" or "-" between them, parts divided by "/"`,
  );
};

export const isTag = (text: string): boolean => TAG.test(text);

/**
 * Whether what is under the tag belongs to the manifest that the tag names: the referrers tag schema
 * (distribution-spec 1.1.1), and cosign's tags for signatures, attestations and SBOMs.
 */
export const isAttachedTag = (tag: string): boolean =>
  /^sha(256-[0-9a-f]{64}|512-[0-9a-f]{121,128})(\.(sig|att|sbom))?$/.test(tag);

/** Where cosign and others keep what belongs to a manifest on registries without referrers, and by old habit on all. */
const ATTACHED = [".sig", ".att", ".sbom"];

/** Tags under which something can be attached to the manifest; none for digests that are too long for tags. */
export const attachedTags = (digest: Digest): readonly string[] =>
  ATTACHED.map((suffix) => `${digest.replace(":", "-")}${suffix}`).filter(isTag);

/** The manifest that what is under the tag belongs to; undefined for other tags, and for those of the referrers tag schema. */
export const subjectOfTag = (tag: string): Digest | undefined => {
  const [, hex] = /^sha256-([0-9a-f]{64})\.(?:sig|att|sbom)$/.exec(tag) ?? [];
  return hex === undefined ? undefined : parseDigest(`sha256:${hex}`);
};

/** A manifest is asked for by tag or by digest. */
export type ManifestReference =
  | { readonly kind: "tag"; readonly tag: string }
  | { readonly kind: "digest"; readonly digest: Digest };

/** Throws MANIFEST_INVALID for what cannot be a tag. */
export const parseTag = (text: string): string => {
  if (isTag(text)) return text;
  throw distributionError(
    "MANIFEST_INVALID",
    `${shown(text)} is not a tag: up to 128 letters, digits, ".", "_" and "-", not beginning with "." or "-"`,
  );
};

/** Throws DIGEST_INVALID. */
export const parseDigestParameter = (text: string): Digest => {
  if (isDigest(text)) return text;
  try {
    return parseDigest(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw distributionError("DIGEST_INVALID", reason, { cause });
  }
};

/** Tags have no colon, so what has one is meant as a digest. */
export const parseManifestReference = (text: string): ManifestReference =>
  text.includes(":")
    ? { kind: "digest", digest: parseDigestParameter(text) }
    : { kind: "tag", tag: parseTag(text) };
