/** Which image a name at a registry stands for: through indexes to one manifest and its config. */
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

export interface RemoteImage {
  /** What the name stands for: an index's digest where there is one. */
  readonly digest: Digest;
  readonly fetched: FetchedManifest;
  readonly manifest: ImageManifest;
  readonly configText: string;
  readonly config: ImageConfig;
}

const CONFIG_MAX_BYTES = 4 * 1024 * 1024;
const DEPTH_MAX = 3;
/** Configs that old tools pushed without a type of their own. */
const UNTYPED = ["", "application/octet-stream", "application/json", "text/html"];

/** Attestations and the like have the platform unknown/unknown: they serve nobody. */
const chooseManifest = (index: ImageIndex, wanted: Platform): Descriptor => {
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
    `no matching manifest for ${formatPlatform(wanted)} in the manifest list entries: it has ${offered.join(", ") || "none"}`,
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
  if (wanted !== undefined && actual.architecture !== "" && platformScore(actual, wanted) === 0) {
    throw new NaruError(
      "not_found",
      `image with reference ${familiarString(reference)} was found but does not match the specified platform: wanted ${formatPlatform(wanted)}, actual: ${formatPlatform(actual)}`,
    );
  }
  return config;
};

/** `platform` undefined: the host's, and a single image whatever it is for. */
export const resolveImage = async (
  repository: Repository,
  tagOrDigest: string,
  platform: Platform | undefined,
  signal: AbortSignal,
): Promise<RemoteImage> => {
  const { reference } = repository;
  let fetched = await repository.manifest(tagOrDigest, signal);
  const { digest } = fetched.descriptor;
  for (let depth = 0; depth < DEPTH_MAX; depth += 1) {
    const manifest = parseManifest(fetched.text, fetched.descriptor.mediaType);
    if (manifest.kind === "index") {
      const chosen = chooseManifest(manifest, platform ?? HOST_PLATFORM);
      fetched = await repository.manifest(chosen.digest, signal);
      continue;
    }
    const { mediaType } = manifest.config;
    if (!isConfigType(mediaType) && !UNTYPED.includes(mediaType)) {
      throw new NaruError(
        "invalid_argument",
        `"${familiarString(reference)}" is no container image: it is an artifact of type "${manifest.artifactType ?? mediaType}"`,
      );
    }
    const configText = await repository.blobText(manifest.config, CONFIG_MAX_BYTES, signal);
    // What an index says of its images counts: their configs need not know it.
    const wanted = depth === 0 ? platform : undefined;
    const config = checkConfig(manifest, configText, wanted, reference);
    return { digest, fetched, manifest, configText, config };
  }
  throw new NaruError("invalid_argument", "the image's indexes point at indexes without an end");
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
