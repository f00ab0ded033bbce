/** What an image archive turned out to hold, and which images that makes: pure, nothing is read here. */
import type { StageResult } from "#image/layer-stage.ts";
import { NaruError } from "#lib/errors.ts";
import { parseImageConfig, platformOf } from "#spec/image/config.ts";
import { CONTAINERD_NAME, type Descriptor, REF_NAME } from "#spec/image/descriptor.ts";
import { type Digest, algorithmOf, digestOf, hexOf } from "#spec/image/digest.ts";
import { checkArchivePath, parseArchiveManifest } from "#spec/image/docker-archive.ts";
import { type ImageIndex, type ImageManifest, parseManifest } from "#spec/image/manifest.ts";
import { isConfigType, isIndexType, isManifestType } from "#spec/image/media-type.ts";
import { type Platform, formatPlatform, platformScore } from "#spec/image/platform.ts";
import { formatReference, parseReference, withDefaultTag } from "#spec/image/reference.ts";

/** One regular file of the archive, stored or known already. */
export interface ArchiveFile {
  /** sha256 of the bytes, or whatever algorithm its path under blobs/ names. */
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Where it was written; undefined when the blob was in the store before. */
  readonly file?: string;
  /** The text of a small JSON document. */
  readonly text?: string;
  /** Of everything else, by its first bytes: "none", "gzip", "zstd", "xz" or "bzip2". */
  readonly compression?: string;
  /** Of a plain layer tar: where it was unpacked, or why it could not be. */
  readonly staged?: StageResult;
}

export interface ArchiveContents {
  /** By clean path. */
  readonly files: ReadonlyMap<string, ArchiveFile>;
  /** Links by clean path; targets as clean paths. */
  readonly links: ReadonlyMap<string, string>;
}

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

const LINKS_MAX = 8;

const refuse = (reason: string): never => {
  throw new NaruError("invalid_argument", `invalid image archive: ${reason}`);
};

const findFile = (contents: ArchiveContents, path: string): ArchiveFile => {
  let at = path;
  for (let count = 0; count < LINKS_MAX; count += 1) {
    const target = contents.links.get(at);
    if (target === undefined) break;
    at = target;
  }
  return contents.files.get(at) ?? refuse(`"${path}" is missing`);
};

const textOf = (file: ArchiveFile, path: string): string =>
  file.text ?? refuse(`"${path}" is not a JSON document`);

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

const blobPath = (digest: Digest): string => `blobs/${algorithmOf(digest)}/${hexOf(digest)}`;

const findBlob = (contents: ArchiveContents, descriptor: Descriptor): ArchiveFile => {
  const path = blobPath(descriptor.digest);
  const file = findFile(contents, path);
  if (file.sizeBytes !== descriptor.size) {
    refuse(`"${path}" has ${file.sizeBytes} bytes, its descriptor says ${descriptor.size}`);
  }
  return file;
};

const readDocument = (contents: ArchiveContents, descriptor: Descriptor): string =>
  textOf(findBlob(contents, descriptor), blobPath(descriptor.digest));

/** A bare tag ("3.20") says nothing about the repository, so it gives no name. */
const referenceOf = (descriptor: Descriptor): string | undefined => {
  const name = descriptor.annotations?.[CONTAINERD_NAME] ?? descriptor.annotations?.[REF_NAME];
  if (name === undefined || !/[/:]/.test(name)) return undefined;
  return formatReference(withDefaultTag(parseReference(name)));
};

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

const fromOciLayout = (
  contents: ArchiveContents,
  indexText: string,
  platform: Platform,
  isWished: boolean,
): ArchiveImage[] => {
  const index = parseManifest(indexText);
  if (index.kind !== "index") return refuse("index.json is not an index");
  const byName = new Map<string, Candidate[]>();
  for (const descriptor of index.manifests) {
    const key = referenceOf(descriptor) ?? "";
    const below = manifestsBelow(contents, descriptor);
    byName.set(key, [...(byName.get(key) ?? []), ...below]);
  }
  const images = new Map<Digest, ArchiveImage>();
  for (const [name, candidates] of byName) {
    const picked = pick(contents, candidates, platform, isWished);
    if (picked === undefined) continue;
    const image = imageOf(contents, picked);
    const id = digestOf(image.configText);
    const names = [...(images.get(id)?.references ?? []), ...(name === "" ? [] : [name])];
    images.set(id, { ...image, references: names });
  }
  return [...images.values()];
};

/** `blobs/<algorithm>/<hex>` must hold what the name says, whoever points there. */
const checkBlobNames = (contents: ArchiveContents): void => {
  for (const [path, file] of contents.files) {
    const match = /^blobs\/([^/]+)\/([^/]+)$/.exec(path);
    if (match !== null && `${match[1]}:${match[2]}` !== file.digest) {
      refuse(`"${path}" has the digest ${file.digest}: it is damaged or was changed`);
    }
  }
};

/** Throws invalid_argument with the reason; `platform` undefined = `host`, not insisted on. */
export const readArchive = (
  contents: ArchiveContents,
  host: Platform,
  platform?: Platform,
): ArchiveImage[] => {
  checkBlobNames(contents);
  const docker = contents.files.get("manifest.json");
  const index = contents.files.get("index.json");
  const isOci = index !== undefined && contents.files.has("oci-layout");
  // manifest.json names its images fully, index.json often only by tag; a wish for a platform needs the index.
  const useIndex = isOci && (docker === undefined || platform !== undefined);
  if (useIndex) {
    const text = textOf(index, "index.json");
    return nonEmpty(fromOciLayout(contents, text, platform ?? host, platform !== undefined));
  }
  if (docker === undefined) {
    return refuse(
      'it has neither "manifest.json" nor "index.json": is it the output of `docker export`? Then use import',
    );
  }
  return nonEmpty(fromDockerArchive(contents, textOf(docker, "manifest.json")));
};

const nonEmpty = (images: ArchiveImage[]): ArchiveImage[] =>
  images.length === 0 ? refuse("it holds no image") : images;

/** Resolves a link inside the archive to a clean path. Throws invalid_argument when it leads out. */
export const linkTarget = (path: string, target: string, isHardLink: boolean): string => {
  if (isHardLink) return checkArchivePath(target);
  if (target.startsWith("/")) return refuse(`link "${path}" leads out of it`);
  const parts = path.split("/").slice(0, -1);
  for (const part of target.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) return refuse(`link "${path}" leads out of it`);
  }
  return checkArchivePath(parts.join("/"));
};
