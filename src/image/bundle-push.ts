/** A bundle to its registry: blobs side by side, then documents, the root last. See bundle.ts. */
import { sendSmall } from "#image/patient-upload.ts";
import type { Bundle, BundleBlob, BundleDocument } from "#image/bundle.ts";
import type { PullParts } from "#image/pull.ts";
import type { TransferOptions } from "#image/transfer.ts";
import { NaruError } from "#lib/errors.ts";
import type { Repository } from "#remote/remote.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import { shortId } from "#spec/image/digest.ts";
import {
  familiarString,
  formatReference,
  parseReference,
  withDefaultTag,
} from "#spec/image/reference.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";

const pushBlob = async (
  { dependencies, remote, config, pool }: PullParts,
  name: string,
  { descriptor, path }: BundleBlob,
  repository: Repository,
  { credentials, signal, onEvent }: TransferOptions,
): Promise<void> => {
  const { digest, size } = descriptor;
  const id = shortId(digest);
  if (await repository.hasBlob(digest, signal)) {
    onEvent({ status: "Layer already exists", id });
    return;
  }
  await using ingest = dependencies.content.openIngest();
  await pool.run(
    {
      config,
      state: remote.state(),
      reference: name,
      credentials,
      kind: "push",
      path,
      sizeBytes: size,
      digest,
      directory: ingest.directory,
    },
    {
      signal,
      onEvent: (event) => {
        if (event.kind !== "progress") return;
        onEvent({ status: "Pushing", id, current: event.current, total: event.total });
      },
    },
  );
  onEvent({ status: "Pushed", id });
};

const pushDocument = async (
  repository: Repository,
  { descriptor, text, isManifest }: BundleDocument,
  tagOrDigest: string,
  signal: AbortSignal,
): Promise<void> => {
  if (isManifest) {
    await repository.putManifest(tagOrDigest, descriptor.mediaType, text, signal);
    return;
  }
  await sendSmall(repository, descriptor.digest, Buffer.from(text), signal);
};

/** See `Bundles.push`. */
export const pushBundle = async (
  parts: PullParts,
  name: string,
  bundle: Bundle,
  options: TransferOptions,
): Promise<void> => {
  const reference = withDefaultTag(parseReference(name));
  const { digest, size } = bundle.root;
  // By its digest a manifest needs no tag; another one's digest would be a lie.
  const tag = reference.digest === digest ? digest : reference.tag;
  if (tag === undefined || (reference.digest ?? digest) !== digest) {
    const reason = `"${name}" has another digest than ${digest}: push under a tag`;
    throw new NaruError("invalid_argument", reason);
  }
  const repository = parts.remote.repository(reference, options.credentials);
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const whole = formatReference(reference);
  const blobs = new Map(bundle.blobs.map((blob) => [blob.descriptor.digest, blob]));
  const pushing = [...blobs.values()].map((blob) =>
    pushBlob(parts, whole, blob, repository, { ...options, signal }).catch((error: unknown) => {
      stop.abort(error);
      throw error;
    }),
  );
  await Promise.allSettled(pushing);
  options.signal.throwIfAborted();
  if (stop.signal.aborted) throw stop.signal.reason;
  for (const document of bundle.documents) {
    const isRoot = document.descriptor.digest === digest;
    await pushDocument(repository, document, isRoot ? tag : document.descriptor.digest, signal);
  }
  options.onEvent({ status: `${familiarString(reference)}: digest: ${digest} size: ${size}` });
};

/** See `Bundles.fetchDocument`. */
export const fetchDocument = async (
  { remote }: PullParts,
  name: string,
  credentials: AuthConfig,
  signal: AbortSignal,
): Promise<{ text: string; descriptor: Descriptor }> => {
  const reference = withDefaultTag(parseReference(name));
  const repository = remote.repository(reference, credentials);
  const { text, descriptor } = await repository.manifest(
    reference.digest ?? reference.tag ?? "",
    signal,
  );
  return { text, descriptor };
};

/** See `Bundles.fetchBlob`. */
export const fetchBlob = async (
  { remote }: PullParts,
  name: string,
  blob: Descriptor,
  credentials: AuthConfig,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> => {
  const repository = remote.repository(parseReference(name), credentials);
  return (await repository.openBlob(blob, 0, signal)).stream;
};
