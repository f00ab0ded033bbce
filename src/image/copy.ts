/** `naru copy`: what one registry has under a name, to another; every platform, nothing unpacked, no byte changed. */
import { checkName } from "#image/admit.ts";
import type { CopyOptions, TransferEvent } from "#image/transfer.ts";
import type { PullParts } from "#image/pull.ts";
import type { FetchEvent, FetchedLayer } from "#image/pull-layers.ts";
import { explainRefusal } from "#image/pull-manifest.ts";
import { shortTag, tellReferrers } from "#image/referrers.ts";
import { NaruError } from "#lib/errors.ts";
import type { Work } from "#lib/shared-work.ts";
import type { FetchedManifest, Repository } from "#remote/remote.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";
import { attachedTags } from "#spec/distribution/name.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import { type Digest, shortId } from "#spec/image/digest.ts";
import { type ImageIndex, parseManifest } from "#spec/image/manifest.ts";
import { isUrlLayer } from "#spec/image/media-type.ts";
import { type Platform, formatPlatform, platformScore } from "#spec/image/platform.ts";
import {
  type Reference,
  familiarString,
  formatReference,
  parseReference,
  withDefaultTag,
} from "#spec/image/reference.ts";

export interface Side {
  readonly repository: Repository;
  readonly credentials: AuthConfig;
}

export interface Copy {
  readonly parts: PullParts;
  readonly source: Side;
  readonly target: Side;
  readonly options: CopyOptions;
}

const DEPTH_MAX = 3;

const accessOf = ({ parts }: Copy, { repository, credentials }: Side) => ({
  config: parts.config,
  state: parts.remote.state(),
  reference: formatReference(repository.reference),
  credentials,
});

const tellProgress =
  (copy: Copy, id: string, status: string) =>
  (event: { readonly kind: string; readonly current?: number; readonly total?: number }): void => {
    const { current, total } = event;
    if (event.kind !== "progress" || current === undefined || total === undefined) return;
    copy.options.onEvent({ status, id, current, total });
  };

/** As a pull does, which may share it, but not to stay. */
const fetchBlob =
  (copy: Copy, blob: Descriptor): Work<FetchedLayer, FetchEvent> =>
  async (signal, onEvent) => {
    const { content } = copy.parts.dependencies;
    const partial = content.partialPath(blob.digest);
    const task = { ...accessOf(copy, copy.source), kind: "pull" as const, blob, partial };
    await copy.parts.pool.run(task, { signal, onEvent });
    return { ingest: content.openIngest(), staged: undefined, partial, isKept: false };
  };

/** Through a file, so that each half is resumed by itself, and the second begins with verified bytes. */
const carry = async (copy: Copy, blob: Descriptor): Promise<void> => {
  const { parts, options } = copy;
  const { content, leases } = parts.dependencies;
  const { signal } = options;
  const id = shortId(blob.digest);
  using _lease = leases.acquire([{ kind: "blob", resource: blob.digest }]);
  const stored = content.info(blob.digest);
  await using held = new AsyncDisposableStack();
  let path = stored?.path;
  if (path === undefined) {
    const job = held.use(parts.flights.join(blob.digest, fetchBlob(copy, blob), signal));
    job.follow(tellProgress(copy, id, "Downloading"));
    path = (await job.result).partial;
    signal.throwIfAborted();
  }
  const { digest, size: sizeBytes } = blob;
  await parts.pool.run(
    {
      ...accessOf(copy, copy.target),
      kind: "push",
      path,
      digest,
      sizeBytes,
    },
    { signal, onEvent: tellProgress(copy, id, "Pushing") },
  );
  options.onEvent({ status: "Copied", id });
};

const copyBlob = async (copy: Copy, blob: Descriptor): Promise<void> => {
  const { source, target, options } = copy;
  const { onEvent, signal } = options;
  const id = shortId(blob.digest);
  const tell = (status: string): void => onEvent({ status, id } satisfies TransferEvent);
  if (await target.repository.hasBlob(blob.digest, signal)) return tell("Already exists");
  const { domain, path } = source.repository.reference;
  if (domain === target.repository.reference.domain) {
    const mount = { digest: blob.digest, from: path };
    const upload = await target.repository.upload({ mount }, signal);
    if (upload === undefined) return tell(`Mounted from ${path}`);
    await upload.cancel();
  }
  await carry(copy, blob);
};

const chosenOf = (index: ImageIndex, platform: Platform, reference: Reference): Descriptor => {
  const [best] = index.manifests
    .filter((one) => one.platform !== undefined && platformScore(one.platform, platform) > 0)
    .toSorted((a, b) => scoreOf(b, platform) - scoreOf(a, platform));
  if (best !== undefined) return best;
  throw new NaruError(
    "not_found",
    `"${familiarString(reference)}" has nothing for ${formatPlatform(platform)}`,
  );
};

const scoreOf = ({ platform }: Descriptor, wanted: Platform): number =>
  platform === undefined ? 0 : platformScore(platform, wanted);

/** Children before their index, blobs before their manifest: what is there is always whole. */
export const copyManifest = async (
  copy: Copy,
  fetched: FetchedManifest,
  name: string,
  depth: number,
): Promise<FetchedManifest> => {
  const { source, target, options } = copy;
  const { signal } = options;
  const manifest = parseManifest(fetched.text, fetched.descriptor.mediaType);
  if (depth > DEPTH_MAX) {
    throw new NaruError("invalid_argument", "the image's indexes point at indexes without an end");
  }
  if (manifest.kind === "index" && options.platform !== undefined) {
    const chosen = chosenOf(manifest, options.platform, source.repository.reference);
    const child = await source.repository.manifest(chosen.digest, signal);
    return await copyManifest(copy, child, name, depth + 1);
  }
  if (manifest.kind === "index") {
    for (const { digest } of manifest.manifests) {
      if (await target.repository.hasManifest(digest, signal)) {
        if (options.hasReferrers === true) await copyReferrers(copy, digest, depth + 1);
        continue;
      }
      const child = await source.repository.manifest(digest, signal);
      await copyManifest(copy, child, digest, depth + 1);
    }
  } else {
    // What is to be had elsewhere stays there, unless the target is one that may have it.
    const { takesForeign } = target.repository;
    const own = manifest.layers.filter((layer) => takesForeign || !isUrlLayer(layer));
    const blobs = new Map([manifest.config, ...own].map((blob) => [blob.digest, blob]));
    const copying = [...blobs.values()].map((blob) => copyBlob(copy, blob));
    await Promise.allSettled(copying);
    await Promise.all(copying);
  }
  await target.repository.putManifest(name, manifest.mediaType, fetched.text, signal);
  if (options.hasReferrers === true) await copyReferrers(copy, fetched.descriptor.digest, depth);
  return fetched;
};

const copyAttached = async (copy: Copy, subject: Digest, depth: number): Promise<void> => {
  const { signal, onEvent } = copy.options;
  for (const tag of attachedTags(subject)) {
    const found = await copy.source.repository.resolve(tag, signal);
    if (found === undefined) continue;
    const fetched = await copy.source.repository.manifest(tag, signal);
    await copyManifest(
      { ...copy, options: { ...copy.options, hasReferrers: false } },
      fetched,
      tag,
      depth + 1,
    );
    onEvent({ status: "Copied referrer", id: shortTag(tag) });
  }
};

const copyReferrers = async (copy: Copy, subject: Digest, depth: number): Promise<void> => {
  const { signal } = copy.options;
  const referring = await copy.source.repository.referrers(subject, signal);
  for (const { digest } of referring) {
    const fetched = await copy.source.repository.manifest(digest, signal);
    await copyManifest(copy, fetched, digest, depth + 1);
    copy.options.onEvent({ status: "Copied referrer", id: shortId(digest) });
  }
  await tellReferrers(copy.target.repository, subject, referring, signal);
  await copyAttached(copy, subject, depth);
};

/** See `Images.copy`. */
export const copyImage = async (
  parts: PullParts,
  from: string,
  to: string,
  options: CopyOptions,
): Promise<void> => {
  const source = withDefaultTag(parseReference(from));
  const target = withDefaultTag(parseReference(to));
  checkName(parts.dependencies.trust, source);
  if (target.digest !== undefined || target.tag === undefined) {
    throw new NaruError("invalid_argument", `"${to}" has a digest: copy to a tag`);
  }
  const side = (reference: Reference, credentials: AuthConfig): Side => ({
    repository: parts.remote.repository(reference, credentials),
    credentials,
  });
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const copy: Copy = {
    parts,
    source: side(source, options.credentials),
    target: side(target, options.targetCredentials),
    options: { ...options, signal },
  };
  options.onEvent({ status: `Copying ${familiarString(source)} to ${familiarString(target)}` });
  try {
    const wanted = source.digest ?? source.tag ?? "";
    const fetched = await copy.source.repository.manifest(wanted, signal);
    const done = await copyManifest(copy, fetched, target.tag, 0);
    options.onEvent({ status: `Digest: ${done.descriptor.digest}` });
  } catch (error) {
    stop.abort();
    throw explainRefusal(error, source);
  }
};
