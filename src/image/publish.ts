/** An archive (an OCI layout or what docker save writes) to a registry. Nothing of it comes into the store. */
import { sendSmall } from "#image/patient-upload.ts";
import type { ArchiveArtifact } from "#image/archive-artifacts.ts";
import type { ArchiveFile } from "#image/archive-files.ts";
import {
  type ArchiveImage,
  type ArchiveIndex,
  type ArchiveLayer,
  readArchive,
} from "#image/archive-contents.ts";
import { readContents } from "#image/load.ts";
import { machinePlatform } from "#image/machine-platform.ts";
import type { PublishOptions } from "#image/transfer.ts";
import type { ArchiveSource } from "#image/image.ts";
import type { PullParts } from "#image/pull.ts";
import { descriptorOf, shortTag, tellReferrers } from "#image/referrers.ts";
import type { Ingest } from "#content/content.ts";
import { NaruError } from "#lib/errors.ts";
import type { Repository } from "#remote/remote.ts";
import { type Digest, digestOf, shortId } from "#spec/image/digest.ts";
import { parseManifest } from "#spec/image/manifest.ts";
import { OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST, layerTypeOf } from "#spec/image/media-type.ts";
import {
  familiarString,
  formatReference,
  parseReference,
  withDefaultTag,
} from "#spec/image/reference.ts";

interface Publication {
  readonly parts: PullParts;
  readonly repository: Repository;
  readonly ingest: Ingest;
  readonly options: PublishOptions;
  /** By digest of the file in the archive. */
  readonly sent: Map<Digest, Promise<Sent>>;
}

interface Sent {
  readonly digest: Digest;
  readonly size: number;
}

const sendText = async (
  { repository, options: { signal } }: Publication,
  text: string,
): Promise<Sent> => {
  const digest = digestOf(text);
  const bytes = Buffer.from(text);
  await sendSmall(repository, digest, bytes, signal);
  return { digest, size: bytes.length };
};

/** As it is, or compressed on the way. What the registry has is not sent. */
const transferFile = async (
  publication: Publication,
  file: ArchiveFile,
  isCompressed: boolean,
): Promise<Sent> => {
  const { parts, repository, ingest, options } = publication;
  const { onEvent, signal, credentials } = options;
  if (file.text !== undefined) return await sendText(publication, file.text);
  const { digest, sizeBytes } = file;
  const id = shortId(digest);
  if (isCompressed && (await repository.hasBlob(digest, signal))) {
    onEvent({ status: "Already exists", id });
    return { digest, size: sizeBytes };
  }
  const result = await parts.pool.run(
    {
      kind: "push",
      config: parts.config,
      state: parts.remote.state(),
      reference: formatReference(repository.reference),
      credentials,
      path: file.file ?? parts.dependencies.content.path(digest),
      sizeBytes,
      ...(isCompressed ? { digest } : { directory: ingest.directory }),
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
  return { digest: result.digest, size: result.sizeBytes };
};

const sendFile = (
  publication: Publication,
  file: ArchiveFile,
  isCompressed = true,
): Promise<Sent> => {
  const sending =
    publication.sent.get(file.digest) ?? transferFile(publication, file, isCompressed);
  publication.sent.set(file.digest, sending);
  return sending;
};

const all = async <T>(work: readonly Promise<T>[]): Promise<T[]> => {
  await Promise.allSettled(work);
  return await Promise.all(work);
};

/** With the manifest that it has in the archive. */
const sendImage = async (
  publication: Publication,
  { configText, layers }: ArchiveImage,
): Promise<void> => {
  await all(layers.map(({ file }) => sendFile(publication, file)));
  await sendText(publication, configText);
};

/** Of an archive without manifests: plain layers are compressed. */
const describeImage = async (
  publication: Publication,
  { configText, layers }: ArchiveImage,
): Promise<string> => {
  const isPlain = ({ diffId, file }: ArchiveLayer): boolean => file.digest === diffId;
  const sent = await all(layers.map((layer) => sendFile(publication, layer.file, !isPlain(layer))));
  const config = { mediaType: OCI_CONFIG, ...(await sendText(publication, configText)) };
  const descriptors = layers.map((layer, at) => ({
    mediaType: isPlain(layer) ? OCI_LAYER_GZIP : layerTypeOf(layer.file.compression ?? "none"),
    ...sent[at],
  }));
  const document = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: descriptors };
  return JSON.stringify(document, undefined, 2);
};

const sendIndex = async (
  publication: Publication,
  { documents, images, kept }: ArchiveIndex,
): Promise<void> => {
  const { repository, options } = publication;
  const put = (text: string, mediaType: string): Promise<unknown> =>
    repository.putManifest(digestOf(text), mediaType, text, options.signal);
  for (const image of images) {
    await sendImage(publication, image);
    await put(image.document.text, image.document.mediaType);
  }
  for (const { blobs, mediaType, text } of kept) {
    await all(blobs.map((file) => sendFile(publication, file)));
    await put(text, mediaType);
  }
  // Those below first; the first one is the index itself.
  for (const { mediaType, text } of documents.slice(1).toReversed()) await put(text, mediaType);
};

/** After what they speak of. */
const sendReferrers = async (
  publication: Publication,
  referrers: readonly ArchiveArtifact[],
): Promise<void> => {
  const { repository, options } = publication;
  for (const { blobs, digest, manifest, mediaType, tag, text } of referrers) {
    await all(blobs.map((file) => sendFile(publication, file)));
    await repository.putManifest(tag ?? digest, mediaType, text, options.signal);
    options.onEvent({
      status: "Copied referrer",
      id: tag === undefined ? shortId(digest) : shortTag(tag),
    });
    const { subject } = manifest;
    if (subject === undefined) continue;
    const told = descriptorOf({ digest, mediaType, document: text });
    await tellReferrers(repository, subject.digest, [told], options.signal);
  }
};

/** See `Images.publish`. */
export const publishArchive = async (
  parts: PullParts,
  target: string,
  source: ArchiveSource,
  options: PublishOptions,
): Promise<void> => {
  const reference = withDefaultTag(parseReference(target));
  const { tag } = reference;
  if (reference.digest !== undefined || tag === undefined) {
    throw new NaruError("invalid_argument", `"${target}" has a digest: copy to a tag`);
  }
  const { onEvent, signal, credentials, platform } = options;
  await using ingest = parts.dependencies.content.openIngest();
  const contents = await readContents(parts.dependencies, ingest, source, { signal });
  const plan = readArchive(contents, machinePlatform(), platform);
  const referrers = plan.artifacts.filter(({ isReferrer }) => isReferrer);
  const [image] = plan.images;
  const [index] = plan.indexes;
  const [artifact] = plan.artifacts.filter(({ isReferrer }) => !isReferrer);
  const tops = [...plan.images, ...plan.indexes, ...plan.artifacts].filter(
    (one) => !("isReferrer" in one && one.isReferrer),
  );
  if (tops.length !== 1) {
    const names = tops.flatMap(({ references }) => references);
    throw new NaruError(
      "invalid_argument",
      `the archive holds ${tops.length} images (${names.join(", ")}): load it, then copy them one at a time from store:NAME`,
    );
  }
  const repository = parts.remote.repository(reference, credentials);
  const publication: Publication = { parts, repository, ingest, options, sent: new Map() };
  onEvent({ status: `Copying to ${familiarString(reference)}` });
  let text: string;
  if (artifact !== undefined) {
    await all(artifact.blobs.map((file) => sendFile(publication, file)));
    ({ text } = artifact);
  } else if (index !== undefined && platform === undefined) {
    await sendIndex(publication, index);
    ({ text } = index.documents[0]);
  } else {
    const only = index?.images[0] ?? image;
    if (only === undefined) throw new NaruError("invalid_argument", "the archive holds no image");
    if (only.manifestText === undefined) text = await describeImage(publication, only);
    else {
      await sendImage(publication, only);
      text = only.manifestText;
    }
  }
  const { mediaType } = parseManifest(text);
  await repository.putManifest(tag, mediaType, text, signal);
  await sendReferrers(publication, referrers);
  onEvent({ status: `Digest: ${digestOf(text)}` });
};
