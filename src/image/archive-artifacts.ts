/** What of an OCI layout is no container image: artifacts, and what refers to the archive's images. Pure. */
import {
  type ArchiveContents,
  type ArchiveDocument,
  type ArchiveFile,
  blobPath,
  findBlob,
  readDocument,
  referenceOf,
} from "#image/archive-files.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import type { Digest } from "#spec/image/digest.ts";
import { type ImageManifest, parseManifest } from "#spec/image/manifest.ts";
import { isConfigType, isManifestType } from "#spec/image/media-type.ts";

/** What is no container image, at the top of a layout: an artifact, or what refers to something in the archive. */
export interface ArchiveArtifact extends ArchiveDocument {
  readonly digest: Digest;
  readonly manifest: ImageManifest;
  readonly blobs: readonly ArchiveFile[];
  readonly references: readonly string[];
  /** Without a name, and what it speaks of is in the archive. */
  readonly isReferrer: boolean;
}

/** The manifest of a top-level entry that is no container image; one that lacks a blob is refused. */
export const artifactOf = (
  contents: ArchiveContents,
  descriptor: Descriptor,
): ArchiveArtifact | undefined => {
  const { digest, mediaType } = descriptor;
  if (!isManifestType(mediaType) || !contents.files.has(blobPath(digest))) return undefined;
  const text = readDocument(contents, descriptor);
  const manifest = parseManifest(text, mediaType);
  if (manifest.kind !== "manifest") return undefined;
  const subject = manifest.subject?.digest;
  const name = referenceOf(descriptor);
  const isReferrer =
    name === undefined && subject !== undefined && contents.files.has(blobPath(subject));
  if (isConfigType(manifest.config.mediaType) && !isReferrer) return undefined;
  return {
    digest,
    text,
    mediaType: manifest.mediaType,
    manifest,
    blobs: [manifest.config, ...manifest.layers].map((blob) => findBlob(contents, blob)),
    references: name === undefined ? [] : [name],
    isReferrer,
  };
};

/** One artifact under several names is one. */
export const artifactsOf = (
  contents: ArchiveContents,
  descriptors: readonly Descriptor[],
): ArchiveArtifact[] => {
  const artifacts = new Map<Digest, ArchiveArtifact>();
  for (const descriptor of descriptors) {
    const made = artifactOf(contents, descriptor);
    if (made === undefined) continue;
    const known = artifacts.get(made.digest)?.references ?? [];
    const references = [...known, ...made.references];
    const isReferrer = made.isReferrer && references.length === 0;
    artifacts.set(made.digest, { ...made, references, isReferrer });
  }
  return [...artifacts.values()];
};
