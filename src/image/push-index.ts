/** Manifest lists: an index over images that registries have, written to a registry. */
import { type Copy, copyManifest } from "#image/copy.ts";
import type { IndexEntry, RemoteManifest, TransferOptions } from "#image/transfer.ts";
import type { PullParts } from "#image/pull.ts";
import { explainRefusal } from "#image/pull-manifest.ts";
import { NaruError } from "#lib/errors.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";
import { parseImageConfig, platformOf } from "#spec/image/config.ts";
import { digestOf } from "#spec/image/digest.ts";
import { parseManifest } from "#spec/image/manifest.ts";
import {
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  OCI_INDEX,
  isConfigType,
} from "#spec/image/media-type.ts";
import type { Platform } from "#spec/image/platform.ts";
import {
  familiarString,
  parseReference,
  repositoryOf,
  withDefaultTag,
} from "#spec/image/reference.ts";

const CONFIG_MAX_BYTES = 4 * 1024 * 1024;

/** See `Images.manifest`. */
export const remoteManifest = async (
  { remote }: PullParts,
  name: string,
  credentials: AuthConfig,
  signal: AbortSignal,
): Promise<RemoteManifest> => {
  const reference = withDefaultTag(parseReference(name));
  const repository = remote.repository(reference, credentials);
  const fetched = await repository
    .manifest(reference.digest ?? reference.tag ?? "", signal)
    .catch((error: unknown) => {
      throw explainRefusal(error, reference);
    });
  const { text, descriptor } = fetched;
  const manifest = parseManifest(text, descriptor.mediaType);
  const { mediaType } = manifest;
  const own = { text, mediaType, digest: descriptor.digest, sizeBytes: descriptor.size };
  if (manifest.kind === "index" || !isConfigType(manifest.config.mediaType)) return own;
  const config = await repository.blobText(manifest.config, CONFIG_MAX_BYTES, signal);
  return { ...own, platform: platformOf(parseImageConfig(config)) };
};

const platformText = ({ architecture, os, osVersion, osFeatures, variant }: Platform): object => ({
  architecture,
  os,
  ...(osVersion === undefined ? {} : { "os.version": osVersion }),
  ...(osFeatures === undefined ? {} : { "os.features": osFeatures }),
  ...(variant === undefined ? {} : { variant }),
});

/** See `Images.pushIndex`. */
export const pushIndex = async (
  parts: PullParts,
  target: string,
  entries: readonly IndexEntry[],
  options: TransferOptions,
): Promise<void> => {
  const reference = withDefaultTag(parseReference(target));
  const { tag = "" } = reference;
  const { credentials, onEvent, signal } = options;
  if (reference.digest !== undefined) {
    throw new NaruError("invalid_argument", `"${target}" has a digest: push a list under a tag`);
  }
  if (entries.length === 0) {
    throw new NaruError("invalid_argument", `the list "${target}" has no images`);
  }
  const home = { repository: parts.remote.repository(reference, credentials), credentials };
  const manifests: object[] = [];
  let isDocker = true;
  for (const entry of entries) {
    const source = parseReference(entry.reference);
    // Those given are the target's: another registry that is named as a source has not earned them.
    const own = source.domain === reference.domain ? credentials : {};
    const side = { repository: parts.remote.repository(source, own), credentials: own };
    const fetched = await side.repository.manifest(entry.digest, signal);
    const { mediaType } = parseManifest(fetched.text, fetched.descriptor.mediaType);
    const isThere =
      repositoryOf(source) === repositoryOf(reference) ||
      (await home.repository.hasManifest(entry.digest, signal));
    if (!isThere) {
      const copy: Copy = {
        parts,
        source: side,
        target: home,
        options: { ...options, credentials: own, targetCredentials: credentials },
      };
      await copyManifest(copy, fetched, entry.digest, 0);
    }
    isDocker &&= mediaType === DOCKER_MANIFEST;
    const { digest, size } = fetched.descriptor;
    manifests.push({ mediaType, size, digest, platform: platformText(entry.platform) });
    onEvent({ status: `Listed ${familiarString(source)}` });
  }
  const mediaType = isDocker ? DOCKER_MANIFEST_LIST : OCI_INDEX;
  const text = JSON.stringify({ schemaVersion: 2, mediaType, manifests }, undefined, 3);
  await home.repository.putManifest(tag, mediaType, text, signal);
  onEvent({ status: `Digest: ${digestOf(text)}` });
  onEvent({ status: "", aux: { Tag: tag, Digest: digestOf(text), Size: Buffer.byteLength(text) } });
};
