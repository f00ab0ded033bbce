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
import { subjectOfTag } from "#spec/distribution/name.ts";
import { type Descriptor, REF_NAME } from "#spec/image/descriptor.ts";
import type { Digest } from "#spec/image/digest.ts";
import { type ImageIndex, type ImageManifest, parseManifest } from "#spec/image/manifest.ts";
import { isConfigType, isIndexType, isManifestType } from "#spec/image/media-type.ts";

/** What is no container image, at the top of a layout: an artifact, or what refers to something in the archive. */
export interface ArchiveArtifact extends ArchiveDocument {
  readonly digest: Digest;
  readonly manifest: ImageManifest | ImageIndex;
  readonly blobs: readonly ArchiveFile[];
  readonly references: readonly string[];
  /** Without a name, and what it speaks of is in the archive. */
  readonly isReferrer: boolean;
  /** The tag by which it is attached to what is in the archive. */
  readonly tag?: string;
}

/** The manifest of a top-level entry that is no container image; one that lacks a blob is refused. */
export const artifactOf = (
  contents: ArchiveContents,
  descriptor: Descriptor,
): ArchiveArtifact | undefined => {
  const { digest, mediaType } = descriptor;
  const isKnown = isManifestType(mediaType) || isIndexType(mediaType);
  if (!isKnown || !contents.files.has(blobPath(digest))) return undefined;
  const text = readDocument(contents, descriptor);
  const manifest = parseManifest(text, mediaType);
  const name = referenceOf(descriptor);
  const tag = descriptor.annotations?.[REF_NAME] ?? "";
  const attachedTo = name === undefined ? subjectOfTag(tag) : undefined;
  const subject = manifest.subject?.digest ?? attachedTo;
  const isReferrer =
    name === undefined && subject !== undefined && contents.files.has(blobPath(subject));
  if (!isReferrer && (manifest.kind === "index" || isConfigType(manifest.config.mediaType))) {
    return undefined;
  }
  const blobs = manifest.kind === "index" ? [] : [manifest.config, ...manifest.layers];
  return {
    digest,
    text,
    mediaType: manifest.mediaType,
    manifest,
    blobs: blobs.map((blob) => findBlob(contents, blob)),
    references: name === undefined ? [] : [name],
    isReferrer,
    ...(isReferrer && attachedTo !== undefined ? { tag } : {}),
  };
};

/** What an index lists that refers to something, before it; what is not in the archive is left out. */
const listedBy = (contents: ArchiveContents, one: ArchiveArtifact): ArchiveArtifact[] => {
  if (one.manifest.kind !== "index") return [];
  return one.manifest.manifests.flatMap((descriptor) => {
    if (!contents.files.has(blobPath(descriptor.digest))) return [];
    const text = readDocument(contents, descriptor);
    const manifest = parseManifest(text, descriptor.mediaType);
    if (manifest.kind === "index") return [];
    const { digest } = descriptor;
    const blobs = [manifest.config, ...manifest.layers].map((blob) => findBlob(contents, blob));
    const { mediaType } = manifest;
    return [{ digest, text, mediaType, manifest, blobs, references: [], isReferrer: true }];
  });
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
    for (const below of listedBy(contents, made)) {
      // One that has names of its own keeps them.
      if (!artifacts.has(below.digest)) artifacts.set(below.digest, below);
    }
    const known = artifacts.get(made.digest)?.references ?? [];
    const references = [...known, ...made.references];
    const isReferrer = made.isReferrer && references.length === 0;
    artifacts.set(made.digest, { ...made, references, isReferrer });
  }
  return [...artifacts.values()];
};
