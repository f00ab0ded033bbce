/** What an image archive turned out to hold, and which images that makes: pure, nothing is read here. */
import { type ArchiveArtifact, artifactOf, artifactsOf } from "#image/archive-artifacts.ts";
import {
  type ArchiveContents,
  type ArchiveDocument,
  type ArchiveFile,
  blobPath,
  checkBlobNames,
  findBlob,
  findFile,
  readDocument,
  referenceOf,
  refuse,
  textOf,
} from "#image/archive-files.ts";
import { NaruError } from "#lib/errors.ts";
import { parseImageConfig, platformOf } from "#spec/image/config.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";
import { parseArchiveManifest } from "#spec/image/docker-archive.ts";
import { type ImageIndex, type ImageManifest, parseManifest } from "#spec/image/manifest.ts";
import { isConfigType, isIndexType, isManifestType } from "#spec/image/media-type.ts";
import {
  HOST_PLATFORM,
  type Platform,
  formatPlatform,
  platformScore,
} from "#spec/image/platform.ts";
import { formatReference, parseReference, withDefaultTag } from "#spec/image/reference.ts";

export interface ArchiveLayer {
  readonly diffId: Digest;
  readonly path: string;
  readonly file: ArchiveFile;
}

export interface ArchiveImage {
  readonly configText: string;
  readonly layers: readonly ArchiveLayer[];
  /** Whole names, "docker.io/library/alpine:3.20". */
  readonly references: readonly string[];
  /** Of an OCI layout: the manifest's exact bytes. */
  readonly manifestText?: string;
}

/** An index with what the archive holds of it. */
export interface ArchiveIndex {
  /** The index itself, then those below it. */
  readonly documents: readonly [ArchiveDocument, ...ArchiveDocument[]];
  readonly images: readonly (ArchiveImage & { readonly document: ArchiveDocument })[];
  /** To be kept as they are, with their blobs: attestations, artifacts. */
  readonly kept: readonly (ArchiveDocument & { readonly blobs: readonly ArchiveFile[] })[];
  readonly references: readonly string[];
}

export interface ArchivePlan {
  readonly images: readonly ArchiveImage[];
  readonly indexes: readonly ArchiveIndex[];
  readonly artifacts: readonly ArchiveArtifact[];
}

const withLayers = (
  contents: ArchiveContents,
  configText: string,
  paths: readonly string[],
): readonly ArchiveLayer[] => {
  const diffIds = parseImageConfig(configText).rootfs.diff_ids;
  if (diffIds.length !== paths.length) {
    refuse(`its config names ${diffIds.length} layers, its manifest ${paths.length}`);
  }
  return diffIds.map((diffId, index) => {
    const path = paths[index] ?? "";
    const file = findFile(contents, path);
    if (file.text !== undefined) refuse(`layer "${path}" is not a tar`);
    return { diffId, path, file };
  });
};

const fromDockerArchive = (contents: ArchiveContents, text: string): ArchiveImage[] =>
  parseArchiveManifest(text).map((item) => {
    const configText = textOf(findFile(contents, item.Config), item.Config);
    return {
      configText,
      layers: withLayers(contents, configText, item.Layers),
      references: (item.RepoTags ?? []).map((tag) =>
        formatReference(withDefaultTag(parseReference(tag))),
      ),
    };
  });

const INDEX_DEPTH_MAX = 4;

/** The images below a descriptor; attestations and foreign artifacts are left out. */
const manifestsBelow = (
  contents: ArchiveContents,
  descriptor: Descriptor,
  depth = 0,
): { descriptor: Descriptor; manifest: ImageManifest; text: string }[] => {
  if (depth > INDEX_DEPTH_MAX) refuse("its indexes are nested too deeply");
  if (descriptor.platform?.os === "unknown") return [];
  const isKnown = isIndexType(descriptor.mediaType) || isManifestType(descriptor.mediaType);
  if (!isKnown && descriptor.mediaType !== "") return [];
  // Archives often hold one platform of an index only: what is absent is no choice.
  if (depth > 0 && !contents.files.has(blobPath(descriptor.digest))) return [];
  const text = readDocument(contents, descriptor);
  const document: ImageManifest | ImageIndex = parseManifest(text, descriptor.mediaType);
  if (document.kind === "index") {
    return document.manifests.flatMap((item) => manifestsBelow(contents, item, depth + 1));
  }
  return isConfigType(document.config.mediaType) ? [{ descriptor, manifest: document, text }] : [];
};

type Candidate = ReturnType<typeof manifestsBelow>[number];

const imageOf = (contents: ArchiveContents, candidate: Candidate): ArchiveImage => {
  const { manifest, text } = candidate;
  const configText = readDocument(contents, manifest.config);
  const paths = manifest.layers.map((layer) => {
    findBlob(contents, layer);
    return blobPath(layer.digest);
  });
  return {
    configText,
    layers: withLayers(contents, configText, paths),
    references: [],
    manifestText: text,
  };
};

const platformOfCandidate = (contents: ArchiveContents, candidate: Candidate): Platform =>
  platformOf(parseImageConfig(readDocument(contents, candidate.manifest.config)));

const bestOf = (
  contents: ArchiveContents,
  candidates: readonly Candidate[],
  platform: Platform,
): Candidate | undefined =>
  candidates
    .map((candidate) => ({
      candidate,
      score: platformScore(platformOfCandidate(contents, candidate), platform),
    }))
    .filter(({ score }) => score > 0)
    .toSorted((a, b) => b.score - a.score)[0]?.candidate;

/** Docker and containerd load a single image whatever it is for; a choice is only made among several. */
const pick = (
  contents: ArchiveContents,
  candidates: readonly Candidate[],
  platform: Platform,
  isWished: boolean,
): Candidate | undefined => {
  const best = bestOf(contents, candidates, platform);
  if (best !== undefined) return best;
  if (!isWished && candidates.length === 1) return candidates[0];
  if (candidates.length === 0) return undefined;
  throw new NaruError(
    "not_found",
    `image archive has nothing for platform "${formatPlatform(platform)}", only for ${candidates
      .map((candidate) => `"${formatPlatform(platformOfCandidate(contents, candidate))}"`)
      .join(", ")}`,
  );
};

const platformOfWish = (
  contents: ArchiveContents,
  candidates: readonly Candidate[],
  platform: Platform | undefined,
): readonly Candidate[] => {
  if (platform === undefined) return candidates;
  const picked = pick(contents, candidates, platform, true);
  return picked === undefined ? [] : [picked];
};

/** Everything is there that the manifest speaks of. */
const isWhole = (contents: ArchiveContents, { config, layers }: ImageManifest): boolean =>
  [config, ...layers].every(({ digest }) => contents.files.has(blobPath(digest)));

interface Below {
  readonly documents: ArchiveDocument[];
  readonly candidates: Candidate[];
  readonly kept: Candidate[];
}

/** All that the archive holds below an index; an attestation is known by the platform "unknown". */
const walkIndex = (
  contents: ArchiveContents,
  descriptor: Descriptor,
  below: Below,
  depth = 0,
): void => {
  if (depth > INDEX_DEPTH_MAX) refuse("its indexes are nested too deeply");
  if (!contents.files.has(blobPath(descriptor.digest))) return;
  const text = readDocument(contents, descriptor);
  const manifest = parseManifest(text, descriptor.mediaType);
  if (manifest.kind === "index") {
    below.documents.push({ text, mediaType: manifest.mediaType });
    for (const item of manifest.manifests) walkIndex(contents, item, below, depth + 1);
    return;
  }
  if (!isWhole(contents, manifest)) return;
  const os = descriptor.platform?.os ?? HOST_PLATFORM.os;
  const isImage = isConfigType(manifest.config.mediaType) && os === HOST_PLATFORM.os;
  (isImage ? below.candidates : below.kept).push({ descriptor, manifest, text });
};

const indexOf = (
  contents: ArchiveContents,
  descriptor: Descriptor,
  references: readonly string[],
  wish: Platform | undefined,
): ArchiveIndex => {
  const below: Below = { documents: [], candidates: [], kept: [] };
  walkIndex(contents, descriptor, below);
  const [first, ...rest] = below.documents;
  if (first === undefined) return refuse(`index "${descriptor.digest}" is missing`);
  const images = platformOfWish(contents, below.candidates, wish).map((candidate) => ({
    ...imageOf(contents, candidate),
    document: { text: candidate.text, mediaType: candidate.manifest.mediaType },
  }));
  if (images.length === 0) refuse(`index "${descriptor.digest}" has no image in it`);
  const kept = (wish === undefined ? below.kept : []).map(({ manifest, text }) => ({
    text,
    mediaType: manifest.mediaType,
    blobs: [manifest.config, ...manifest.layers].map((blob) => findBlob(contents, blob)),
  }));
  return { documents: [first, ...rest], images, kept, references };
};

/** One index under several names is one index. */
const indexesOf = (
  contents: ArchiveContents,
  descriptors: readonly Descriptor[],
  wish: Platform | undefined,
): ArchiveIndex[] => {
  const indexes = new Map<Digest, ArchiveIndex>();
  for (const descriptor of descriptors) {
    const name = referenceOf(descriptor);
    const names = [
      ...(indexes.get(descriptor.digest)?.references ?? []),
      ...(name === undefined ? [] : [name]),
    ];
    indexes.set(descriptor.digest, indexOf(contents, descriptor, names, wish));
  }
  return [...indexes.values()];
};

const fromOciLayout = (
  contents: ArchiveContents,
  indexText: string,
  host: Platform,
  wish: Platform | undefined,
): ArchivePlan => {
  const index = parseManifest(indexText);
  if (index.kind !== "index") return refuse("index.json is not an index");
  const byName = new Map<string, Candidate[]>();
  const isIndex = ({ digest, mediaType }: Descriptor): boolean =>
    isIndexType(mediaType) && contents.files.has(blobPath(digest));
  const artifacts = artifactsOf(contents, index.manifests);
  const isOther = ({ digest }: Descriptor): boolean =>
    artifacts.some((one) => one.digest === digest);
  for (const descriptor of index.manifests.filter((one) => !isIndex(one) && !isOther(one))) {
    const key = referenceOf(descriptor) ?? "";
    const below = manifestsBelow(contents, descriptor);
    byName.set(key, [...(byName.get(key) ?? []), ...below]);
  }
  const images = new Map<Digest, ArchiveImage>();
  for (const [name, candidates] of byName) {
    const picked = pick(contents, candidates, wish ?? host, wish !== undefined);
    if (picked === undefined) continue;
    const image = imageOf(contents, picked);
    const id = digestOf(image.configText);
    const names = [...(images.get(id)?.references ?? []), ...(name === "" ? [] : [name])];
    images.set(id, { ...image, references: names });
  }
  const indexes = indexesOf(
    contents,
    index.manifests.filter((one) => isIndex(one) && !isOther(one)),
    wish,
  );
  // Whoever wishes for a platform gets that and nothing else.
  return { images: [...images.values()], indexes, artifacts: wish === undefined ? artifacts : [] };
};

/** Names that only manifest.json has, where index.json says tags alone. */
const withDockerNames = (contents: ArchiveContents, plan: ArchivePlan): ArchivePlan => {
  const docker = contents.files.get("manifest.json");
  if (docker === undefined) return plan;
  const named = fromDockerArchive(contents, textOf(docker, "manifest.json"));
  const namesOf = (configText: string): readonly string[] =>
    named.find((image) => image.configText === configText)?.references ?? [];
  const indexes = plan.indexes.map((index) => ({
    ...index,
    references:
      index.references.length > 0
        ? index.references
        : index.images.flatMap(({ configText }) => namesOf(configText)),
  }));
  const images = plan.images.map((image) => ({
    ...image,
    references: image.references.length > 0 ? image.references : namesOf(image.configText),
  }));
  return { ...plan, images, indexes };
};

/** Whether a top-level entry of the layout is an index or no container image: then it says more than manifest.json can. */
const saysMore = (contents: ArchiveContents, indexText: string): boolean => {
  const index = parseManifest(indexText);
  return (
    index.kind === "index" &&
    index.manifests.some(
      (one) => isIndexType(one.mediaType) || artifactOf(contents, one) !== undefined,
    )
  );
};

/** The manifests of images that are here, straight from index.json. */
const topManifests = (contents: ArchiveContents, indexText: string): readonly Candidate[] => {
  const index = parseManifest(indexText);
  if (index.kind !== "index") return [];
  return index.manifests
    .filter(
      ({ digest, mediaType }) => isManifestType(mediaType) && contents.files.has(blobPath(digest)),
    )
    .flatMap((descriptor) => manifestsBelow(contents, descriptor));
};

/**
 * With the manifest that the image came with, so that it goes out again under the same digest. Not with one that only
 * an archive has, whose layers are plain: those are compressed on their way to a registry.
 */
const withManifest = (
  contents: ArchiveContents,
  candidates: readonly Candidate[],
  image: ArchiveImage,
): ArchiveImage => {
  const id = digestOf(image.configText);
  const diffIds = new Set<Digest>(image.layers.map(({ diffId }) => diffId));
  const candidate = candidates.find(
    ({ manifest }) =>
      manifest.config.digest === id &&
      isWhole(contents, manifest) &&
      !manifest.layers.some(({ digest }) => diffIds.has(digest)),
  );
  if (candidate === undefined) return image;
  return { ...imageOf(contents, candidate), references: image.references };
};

/** Throws invalid_argument with the reason; `platform` undefined = `host`, not insisted on, and all of an index. */
export const readArchive = (
  contents: ArchiveContents,
  host: Platform,
  platform?: Platform,
): ArchivePlan => {
  checkBlobNames(contents);
  const docker = contents.files.get("manifest.json");
  const index = contents.files.get("index.json");
  const layout =
    index !== undefined && contents.files.has("oci-layout")
      ? textOf(index, "index.json")
      : undefined;
  // manifest.json names its images fully, index.json often only by tag; a wish for a platform needs the index.
  const isNeeded = docker === undefined || platform !== undefined;
  if (layout !== undefined && (isNeeded || saysMore(contents, layout))) {
    const plan = fromOciLayout(contents, layout, host, platform);
    return nonEmpty(withDockerNames(contents, plan));
  }
  if (docker === undefined) {
    return refuse(
      'it has neither "manifest.json" nor "index.json": is it the output of `docker export`? Then use import',
    );
  }
  const candidates = layout === undefined ? [] : topManifests(contents, layout);
  const images = fromDockerArchive(contents, textOf(docker, "manifest.json")).map((image) =>
    withManifest(contents, candidates, image),
  );
  return nonEmpty({ images, indexes: [], artifacts: [] });
};

const nonEmpty = (plan: ArchivePlan): ArchivePlan =>
  plan.images.length + plan.indexes.length + plan.artifacts.length === 0
    ? refuse("it holds no image")
    : plan;
