/** What a name at a registry stands for: through indexes to the manifests that are wanted, and their configs. */
import { machinePlatform } from "#image/machine-platform.ts";
import { type ErrorCode, NaruError, toNaruError } from "#lib/errors.ts";
import type { FetchedManifest, Repository } from "#remote/remote.ts";
import { type ImageConfig, parseImageConfig, platformOf } from "#spec/image/config.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import type { Digest } from "#spec/image/digest.ts";
import { type ImageIndex, type ImageManifest, parseManifest } from "#spec/image/manifest.ts";
import { isConfigType } from "#spec/image/media-type.ts";
import {
  HOST_PLATFORM,
  type Platform,
  formatPlatform,
  platformScore,
} from "#spec/image/platform.ts";
import { type Reference, familiarName, familiarString } from "#spec/image/reference.ts";

/** To be unpacked. */
export interface RemoteImage {
  readonly fetched: FetchedManifest;
  readonly manifest: ImageManifest;
  readonly configText: string;
  readonly config: ImageConfig;
}

/** To be kept as it is: an attestation, an artifact, an image for another operating system. */
export interface RemoteKept {
  readonly fetched: FetchedManifest;
  readonly manifest: ImageManifest;
}

/** What refers to another manifest. */
export interface RemoteReferrer {
  readonly fetched: FetchedManifest;
  readonly manifest: ImageManifest | ImageIndex;
  /** By which it is attached, where it does not say itself what it refers to. */
  readonly tag?: string;
}

export interface RemoteContent {
  /** What the name stands for: an index's digest where there is one. */
  readonly digest: Digest;
  /** From the name down, each listed by the one before; empty for a single image. */
  readonly indexes: readonly FetchedManifest[];
  readonly images: readonly RemoteImage[];
  readonly kept: readonly RemoteKept[];
  /** What refers to any of it; empty unless it was asked for. */
  readonly referrers: readonly RemoteReferrer[];
  readonly rateLimit: string | undefined;
}

/** What of an index is wanted. `platform` undefined: the host's, and a single image whatever it is for. */
export interface Wish {
  readonly platform?: Platform;
  readonly isAllPlatforms?: boolean;
}

const CONFIG_MAX_BYTES = 4 * 1024 * 1024;
const DEPTH_MAX = 3;
/** Configs that old tools pushed without a type of their own. */
const UNTYPED = ["", "application/octet-stream", "application/json", "text/html"];

/** The best for `wish`, else for this machine. Attestations and the like have the platform unknown/unknown: they serve nobody. */
export const chooseManifest = (
  index: ImageIndex,
  wish: Platform | undefined,
  machine: Platform = machinePlatform(),
): Descriptor => {
  const wanted = wish ?? machine;
  let best: { descriptor: Descriptor; score: number } | undefined;
  for (const descriptor of index.manifests) {
    const { platform } = descriptor;
    if (platform === undefined) continue;
    const score = platformScore(platform, wanted);
    if (score > 0 && score > (best?.score ?? 0)) best = { descriptor, score };
  }
  if (best !== undefined) return best.descriptor;
  const [only, another] = index.manifests;
  if (only !== undefined && another === undefined && only.platform === undefined) return only;
  const offered = index.manifests.flatMap(({ platform }) =>
    platform === undefined || platform.os === "unknown" ? [] : [formatPlatform(platform)],
  );
  throw new NaruError(
    "not_found",
    `no matching manifest for ${formatPlatform(wish ?? HOST_PLATFORM)} in the manifest list entries: it has ${offered.join(", ") || "none"}`,
  );
};

const checkConfig = (
  manifest: ImageManifest,
  configText: string,
  wanted: Platform | undefined,
  reference: Reference,
): ImageConfig => {
  const config = parseImageConfig(configText);
  const layers = config.rootfs.diff_ids.length;
  if (layers !== manifest.layers.length) {
    throw new NaruError(
      "invalid_argument",
      `"${familiarString(reference)}" is damaged: its config has ${layers} layers, its manifest ${manifest.layers.length}`,
    );
  }
  const actual = platformOf(config);
  if (actual.os !== HOST_PLATFORM.os) {
    throw new NaruError(
      "invalid_argument",
      `image operating system "${actual.os}" cannot be used on this platform`,
    );
  }
  if (wanted !== undefined && wanted.os !== HOST_PLATFORM.os) {
    throw new NaruError(
      "invalid_argument",
      `operating system is not supported: "${familiarString(reference)}" is for ${formatPlatform(actual)}, wanted is ${formatPlatform(wanted)}`,
    );
  }
  return config;
};

class Search {
  readonly #repository: Repository;
  readonly #wish: Wish;
  readonly #signal: AbortSignal;
  readonly indexes: FetchedManifest[] = [];
  readonly images: RemoteImage[] = [];
  readonly kept: RemoteKept[] = [];

  constructor(repository: Repository, wish: Wish, signal: AbortSignal) {
    this.#repository = repository;
    this.#wish = wish;
    this.#signal = signal;
  }

  async add(fetched: FetchedManifest, entry: Descriptor | undefined, depth = 0): Promise<void> {
    if (depth > DEPTH_MAX) {
      throw new NaruError(
        "invalid_argument",
        "the image's indexes point at indexes without an end",
      );
    }
    const manifest = parseManifest(fetched.text, fetched.descriptor.mediaType);
    if (manifest.kind === "manifest") return await this.#addManifest(fetched, manifest, entry);
    this.indexes.push(fetched);
    const { platform, isAllPlatforms = false } = this.#wish;
    const children = isAllPlatforms ? manifest.manifests : [chooseManifest(manifest, platform)];
    for (const child of children) {
      const below = await this.#repository.manifest(child.digest, this.#signal);
      await this.add(below, child, depth + 1);
    }
  }

  async #addManifest(
    fetched: FetchedManifest,
    manifest: ImageManifest,
    entry: Descriptor | undefined,
  ): Promise<void> {
    const { isAllPlatforms = false, platform } = this.#wish;
    const { reference } = this.#repository;
    const { mediaType } = manifest.config;
    const isImage = isConfigType(mediaType) || UNTYPED.includes(mediaType);
    const os = entry?.platform?.os ?? HOST_PLATFORM.os;
    const isOther = entry !== undefined && isAllPlatforms && os !== HOST_PLATFORM.os;
    if (isOther || (!isImage && (entry === undefined || isAllPlatforms))) {
      this.kept.push({ fetched, manifest });
      return;
    }
    if (!isImage) {
      throw new NaruError(
        "invalid_argument",
        `"${familiarString(reference)}" is no container image: it is an artifact of type "${manifest.artifactType ?? mediaType}"`,
      );
    }
    const configText = await this.#repository.blobText(
      manifest.config,
      CONFIG_MAX_BYTES,
      this.#signal,
    );
    // What an index says of its images counts: their configs need not know it.
    const wanted = entry === undefined ? platform : undefined;
    const config = checkConfig(manifest, configText, wanted, reference);
    this.images.push({ fetched, manifest, configText, config });
  }
}

/** What a pull says of a single image for another platform than was asked for, in Docker's words: it is taken all the same. */
export const platformWarning = (
  reference: Reference,
  wanted: Platform | undefined,
  actual: Platform,
): string | undefined =>
  wanted === undefined || actual.architecture === "" || platformScore(actual, wanted) > 0
    ? undefined
    : `WARNING: image with reference ${familiarString(reference)} was found but its platform (${formatPlatform(actual)}) does not match the specified platform (${formatPlatform(wanted)})`;

export const resolveContent = async (
  repository: Repository,
  tagOrDigest: string,
  wish: Wish,
  signal: AbortSignal,
): Promise<RemoteContent> => {
  const fetched = await repository.manifest(tagOrDigest, signal);
  const search = new Search(repository, wish, signal);
  await search.add(fetched, undefined);
  const { indexes, images, kept } = search;
  const rateLimit = [...images, ...kept].at(-1)?.fetched.rateLimit ?? fetched.rateLimit;
  return { digest: fetched.descriptor.digest, indexes, images, kept, referrers: [], rateLimit };
};

const reworded = (error: NaruError, code: ErrorCode, words: string): NaruError =>
  new NaruError(code, `${words}: ${error.message}`, { cause: error, details: error.details });

/** The registry's refusal with what it means for this image, in Docker's words. */
export const explainRefusal = (thrown: unknown, reference: Reference): unknown => {
  const error = toNaruError(thrown);
  switch (error.details["registryCode"]) {
    case "DENIED":
      return reworded(
        error,
        "not_found",
        `pull access denied for ${familiarName(reference)}, repository does not exist or may require 'docker login'`,
      );
    case "MANIFEST_UNKNOWN":
      return reworded(error, "not_found", `manifest for ${familiarString(reference)} not found`);
    case "NAME_UNKNOWN":
      return reworded(error, "not_found", `repository ${familiarName(reference)} not found`);
    default:
      return thrown;
  }
};
