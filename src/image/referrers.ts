/** What refers to an image (signatures, SBOMs), where images go: told to registries, and found in the store. */
import type { Catalog } from "#image/catalog.ts";
import { type ContentPush, pushTarget } from "#image/push-content.ts";
import { NaruError } from "#lib/errors.ts";
import type { ManifestRow } from "#metadata/image-manifests.ts";
import type { Repository } from "#remote/remote.ts";
import { attachedTags } from "#spec/distribution/name.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import { type Digest, shortId } from "#spec/image/digest.ts";
import { parseManifest } from "#spec/image/manifest.ts";
import { OCI_INDEX } from "#spec/image/media-type.ts";

/** A registry without the referrers API has them told under a tag, which is for clients to keep up. */
export const tellReferrers = async (
  repository: Repository,
  subject: Digest,
  sent: readonly Descriptor[],
  signal: AbortSignal,
): Promise<void> => {
  if (sent.length === 0) return;
  const told = await repository.referrers(subject, signal);
  const missing = sent.filter((one) => told.every(({ digest }) => digest !== one.digest));
  if (missing.length === 0) return;
  const manifests = [...told, ...missing];
  const text = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
  const tag = subject.replace(":", "-").slice(0, 128);
  await repository.putManifest(tag, OCI_INDEX, text, signal);
};

/** The digests of a manifest or index and of all that it lists, as far as it is here. */
export const digestsBelow = (
  { indexes }: Pick<Catalog, "indexes">,
  digest: Digest,
  text: string,
): readonly Digest[] => {
  const manifest = parseManifest(text);
  if (manifest.kind !== "index") return [digest];
  const below = manifest.manifests.flatMap((one) => [
    one.digest,
    ...indexes.members(one.digest).map(({ descriptor }) => descriptor.digest),
  ]);
  return [digest, ...below];
};

/** What is here and refers to the subjects, and to that in turn; each once. */
export const referrersOf = (
  { indexes }: Pick<Catalog, "indexes">,
  subjects: readonly Digest[],
): readonly Digest[] => {
  const found = new Set<Digest>();
  const queue = [...subjects];
  for (let subject = queue.pop(); subject !== undefined; subject = queue.pop()) {
    for (const digest of indexes.referrers(subject)) {
      if (found.has(digest)) continue;
      found.add(digest);
      queue.push(digest);
    }
  }
  return [...found];
};

/** As the referrers API lists it (distribution-spec 1.1, "Listing Referrers"). */
export const descriptorOf = ({ digest, mediaType, document }: ManifestRow): Descriptor => {
  const { annotations, artifactType, ...manifest } = parseManifest(document, mediaType);
  const config = manifest.kind === "manifest" ? manifest.config.mediaType : undefined;
  const type = artifactType ?? config;
  return {
    mediaType,
    digest,
    size: Buffer.byteLength(document),
    ...(type === undefined ? {} : { artifactType: type }),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
};

/** For people: "sha256-0123456789ab.sig". */
export const shortTag = (tag: string): string =>
  `${tag.slice(0, 19)}${tag.slice(tag.indexOf("."))}`;

/**
 * Under the tag that attaches it. One that the registry has there stays: it may hold signatures that are not here, and
 * without its tag nobody finds them.
 */
const pushAttached = async (push: ContentPush, row: ManifestRow, tag: string): Promise<void> => {
  const { onEvent, repository, signal } = push;
  const theirs = await repository.resolve(tag, signal);
  if (theirs !== undefined) {
    const isSame = theirs.digest === row.digest;
    const status = isSame ? "Already exists" : "Skipped referrer, the registry has another one";
    return onEvent({ status, id: shortTag(tag) });
  }
  await pushTarget(push, row.digest);
  await repository.putManifest(tag, row.mediaType, row.document, signal);
  onEvent({ status: "Pushed referrer", id: shortTag(tag) });
};

/** After the subjects: what is here and refers to them goes to the same repository. */
export const pushReferrers = async (
  push: ContentPush,
  subjects: readonly Digest[],
): Promise<void> => {
  const { catalog, dependencies, onEvent, repository, signal } = push;
  const bySubject = new Map<Digest, Descriptor[]>();
  const referring = referrersOf(catalog, subjects);
  const tags = new Set([...subjects, ...referring].flatMap(attachedTags));
  for (const digest of referring) {
    const row = dependencies.rows.manifests.get(digest);
    if (row === undefined) {
      throw new NaruError("data_loss", `manifest "${digest}" is not stored here any more`);
    }
    for (const tag of dependencies.rows.manifests.tagsOf(digest)) {
      if (tags.has(tag)) await pushAttached(push, row, tag);
    }
    const subject = catalog.indexes.document(digest)?.subject?.digest;
    if (subject === undefined) continue;
    await pushTarget(push, digest);
    await repository.putManifest(digest, row.mediaType, row.document, signal);
    onEvent({ status: "Pushed referrer", id: shortId(digest) });
    bySubject.set(subject, [...(bySubject.get(subject) ?? []), descriptorOf(row)]);
  }
  for (const [subject, sent] of bySubject) await tellReferrers(repository, subject, sent, signal);
};
