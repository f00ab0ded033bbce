/** Manifests and tags of the local store: read, push, delete, list. See registry.ts for the promises. */
import { now } from "#lib/clock.ts";
import type { RegistryRows } from "#metadata/registry/rows.ts";
import type { LocalDependencies } from "#registry/local.ts";
import type { ManifestCache } from "#registry/manifest-cache.ts";
import type { Manifest, NewManifest, StoredManifest } from "#registry/registry.ts";
import { distributionError } from "#spec/distribution/errors.ts";
import {
  type ManifestDocument,
  checkSchemaVersion,
  plainMediaType,
  readManifestDocument,
} from "#spec/distribution/manifest-document.ts";
import {
  type ManifestReference,
  parseManifestReference,
  parseTag,
} from "#spec/distribution/name.ts";
import { type Digest, algorithmOf, parseDigest } from "#spec/image/digest.ts";

/** Of one push by digest. */
const TAGS_LIMIT = 100;

export const unknownName = (repository: string) =>
  distributionError("NAME_UNKNOWN", `repository "${repository}" does not exist here`, {
    detail: { name: repository },
  });

const unknownManifest = (repository: string, reference: string) =>
  distributionError("MANIFEST_UNKNOWN", `"${repository}" has no manifest "${reference}"`, {
    detail: { name: repository, reference },
  });

const digestLike = (content: Uint8Array, algorithm: "sha256" | "sha512"): Digest =>
  parseDigest(`${algorithm}:${new Bun.CryptoHasher(algorithm).update(content).digest("hex")}`);

/** From the store, remembering what was read. */
export const readManifest = (
  rows: RegistryRows,
  cache: ManifestCache,
  repository: string,
  reference: string,
): Manifest => {
  const cached = cache.get(repository, reference);
  if (cached !== undefined) return cached;
  const parsed = parseManifestReference(reference);
  const repositoryId = rows.repositories.idOf(repository);
  if (repositoryId === undefined) throw unknownName(repository);
  const digest =
    parsed.kind === "digest" ? parsed.digest : rows.tags.digestOf(repositoryId, parsed.tag);
  const row = digest === undefined ? undefined : rows.manifests.get(repositoryId, digest);
  if (row === undefined) throw unknownManifest(repository, reference);
  return cache.put(repository, reference, row);
};

const checkSize = (content: Uint8Array, limitBytes: number): void => {
  if (content.length <= limitBytes) return;
  throw distributionError(
    "SIZE_INVALID",
    `the manifest has ${content.length} bytes, at most ${limitBytes} are taken`,
    { status: 413 },
  );
};

const checkDigest = (reference: ManifestReference, content: Uint8Array): Digest => {
  const algorithm = reference.kind === "digest" ? algorithmOf(reference.digest) : "sha256";
  const digest = digestLike(content, algorithm);
  if (reference.kind === "digest" && reference.digest !== digest) {
    throw distributionError(
      "DIGEST_INVALID",
      `the manifest has digest ${digest}, not ${reference.digest}`,
    );
  }
  return digest;
};

/** What the manifest needs must be here, or whoever pulls it gets half an image. */
const checkNeeds = (
  { rows, rules }: LocalDependencies,
  repository: string,
  repositoryId: number,
  document: ManifestDocument,
): void => {
  if (rules.allowsSparse) return;
  const missing = [
    ...document.blobs.filter(({ digest }) => rows.blobs.sizeOf(repositoryId, digest) === undefined),
    ...document.manifests.filter(({ digest }) => !rows.manifests.has(repositoryId, digest)),
  ];
  const [first] = missing;
  if (first === undefined) return;
  const names = [...new Set(missing.map(({ digest }) => digest))];
  throw distributionError(
    "MANIFEST_BLOB_UNKNOWN",
    `the manifest needs ${names.slice(0, 5).join(", ")}${names.length > 5 ? " and others" : ""}, which "${repository}" does not have: push them first`,
    { detail: names.slice(0, 100).map((digest) => ({ digest })) },
  );
};

const checkBlobSizes = (
  { rows }: LocalDependencies,
  repositoryId: number,
  document: ManifestDocument,
): void => {
  for (const { digest, size } of document.blobs) {
    const found = rows.blobs.sizeOf(repositoryId, digest);
    if (found === undefined || found === size) continue;
    throw distributionError(
      "MANIFEST_INVALID",
      `the manifest says that ${digest} has ${size} bytes, it has ${found}`,
    );
  }
};

/** Throws DENIED when a rule keeps the tag on another manifest. */
const checkTag = (
  { rows, rules }: LocalDependencies,
  repository: string,
  repositoryId: number | undefined,
  tag: string,
  digest: Digest | undefined,
): void => {
  if (repositoryId === undefined) return;
  const current = rows.tags.digestOf(repositoryId, tag);
  if (current === undefined || current === digest || !rules.isImmutable(repository, tag)) return;
  throw distributionError(
    "DENIED",
    `tag "${tag}" of "${repository}" is immutable: ${digest === undefined ? "it cannot be deleted" : `it stays on ${current}; push under another tag`}`,
  );
};

/** Throws DENIED when an immutable tag's image needs the manifest or blob: without it nobody could pull it. */
export const checkParts = (
  { rows, rules }: Pick<LocalDependencies, "rows" | "rules">,
  repository: string,
  repositoryId: number,
  digest: Digest,
): void => {
  const held = rows.tags
    .namesAbove(repositoryId, digest)
    .find((tag) => rules.isImmutable(repository, tag));
  if (held === undefined) return;
  throw distributionError(
    "DENIED",
    `${digest} is part of "${repository}:${held}", an immutable tag: it cannot be deleted`,
  );
};

export const putManifest = (
  deps: LocalDependencies,
  repository: string,
  pushed: NewManifest,
): StoredManifest => {
  const { rows, cache, limits } = deps;
  checkSize(pushed.content, limits.maxManifestBytes);
  const reference = parseManifestReference(pushed.reference);
  const tags = [...new Set((pushed.tags ?? []).map(parseTag))];
  if (reference.kind === "tag") tags.push(reference.tag);
  if (tags.length > TAGS_LIMIT) {
    throw distributionError("MANIFEST_INVALID", `at most ${TAGS_LIMIT} tags a push`, {
      status: 414,
    });
  }
  const digest = checkDigest(reference, pushed.content);
  const text = Buffer.from(pushed.content).toString("utf8");
  const document = readManifestDocument(text, plainMediaType(pushed.mediaType));
  checkSchemaVersion(text);
  // The bytes may lie in a larger buffer that lives on with them.
  const content = new Uint8Array(pushed.content);
  rows.transaction(() => {
    const repositoryId = rows.repositories.ensure(repository);
    checkNeeds(deps, repository, repositoryId, document);
    checkBlobSizes(deps, repositoryId, document);
    for (const tag of tags) checkTag(deps, repository, repositoryId, tag, digest);
    writeRows(rows, repositoryId, { digest, content, document, tags });
  });
  forget(cache, repository, [digest, ...tags]);
  return { digest, mediaType: document.mediaType, subject: document.subject, tags };
};

interface Written {
  readonly digest: Digest;
  readonly content: Uint8Array;
  readonly document: ManifestDocument;
  readonly tags: readonly string[];
}

const writeRows = (
  rows: RegistryRows,
  repositoryId: number,
  { digest, content, document, tags }: Written,
): void => {
  const { mediaType, artifactType, annotations, subject } = document;
  const pushedAt = now();
  const needs = [...document.blobs, ...document.manifests].map((item) => item.digest);
  const row = { digest, mediaType, artifactType, annotations, subject, pushedAt, content, needs };
  rows.manifests.put(repositoryId, row);
  for (const name of tags) rows.tags.put(repositoryId, { name, digest, taggedAt: pushedAt });
};

const forget = (cache: ManifestCache, repository: string, references: readonly string[]): void => {
  for (const reference of references) cache.drop(repository, reference);
};

/** For one that came from an upstream, verified: what it needs comes when it is asked for. */
export const adoptManifest = (
  { rows, cache }: LocalDependencies,
  repository: string,
  { digest, mediaType, content }: Manifest,
  tag: string | undefined,
): void => {
  const text = Buffer.from(content).toString("utf8");
  const document = readManifestDocument(text, plainMediaType(mediaType));
  const tags = tag === undefined ? [] : [tag];
  rows.transaction(() => {
    const repositoryId = rows.repositories.ensure(repository);
    writeRows(rows, repositoryId, { digest, content, document, tags });
  });
  forget(cache, repository, [digest, ...tags]);
};

/** An upstream has it no more. */
export const forgetTag = (
  { rows, cache }: LocalDependencies,
  repository: string,
  tag: string,
): void => {
  const repositoryId = rows.repositories.idOf(repository);
  if (repositoryId !== undefined) rows.tags.remove(repositoryId, tag);
  cache.drop(repository, tag);
};

export const deleteManifest = (
  deps: LocalDependencies,
  repository: string,
  reference: string,
): readonly string[] => {
  const { rows, cache } = deps;
  const parsed = parseManifestReference(reference);
  const repositoryId = rows.repositories.idOf(repository);
  if (repositoryId === undefined) throw unknownName(repository);
  const tags =
    parsed.kind === "tag" ? [parsed.tag] : rows.tags.namesOf(repositoryId, parsed.digest);
  const isGone = rows.transaction(() => {
    for (const tag of tags) checkTag(deps, repository, repositoryId, tag, undefined);
    if (parsed.kind === "digest") checkParts(deps, repository, repositoryId, parsed.digest);
    const removed = tags.map((tag) => rows.tags.remove(repositoryId, tag));
    return parsed.kind === "digest"
      ? rows.manifests.remove(repositoryId, parsed.digest)
      : removed[0] === true;
  });
  forget(cache, repository, [...tags, reference]);
  if (!isGone) throw unknownManifest(repository, reference);
  return tags;
};
