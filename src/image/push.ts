/** `docker push`: what the registry has not, then the config, then the manifest under the tag. */
import { isArtifact } from "#image/artifact.ts";
import type { IndexMember } from "#image/indexes.ts";
import { sweepManifests } from "#image/manifests.ts";
import type { PullParts } from "#image/pull.ts";
import { choosePush } from "#image/push-choice.ts";
import { type PushedContent, pushImage, pushTarget } from "#image/push-content.ts";
import type { PushedLayer } from "#image/push-layers.ts";
import { digestsBelow, pushReferrers } from "#image/referrers.ts";
import { registerIndex } from "#image/register-index.ts";
import type { PushOptions } from "#image/transfer.ts";
import { NaruError } from "#lib/errors.ts";
import type { ManifestRow } from "#metadata/image-manifests.ts";
import type { ImageRow } from "#metadata/images.ts";
import type { Digest } from "#spec/image/digest.ts";
import {
  type Reference,
  familiarName,
  familiarString,
  formatReference,
  parseReference,
  repositoryOf,
} from "#spec/image/reference.ts";

export type PushParts = PullParts;

const referencesOf = (
  { dependencies }: PushParts,
  name: string,
  options: PushOptions,
): Reference[] => {
  const reference = parseReference(name);
  const repository = repositoryOf(reference);
  const rows = dependencies.rows
    .references()
    .filter((row) => row.repository === repository && row.tag !== undefined);
  const wanted = options.isAllTags ? rows : rows.filter((row) => row.tag === reference.tag);
  if (wanted.length > 0) {
    return wanted.map(({ tag }) => ({ ...reference, ...(tag === undefined ? {} : { tag }) }));
  }
  throw new NaruError(
    "not_found",
    rows.length === 0 || reference.tag === undefined
      ? `An image does not exist locally with the tag: ${familiarName(reference)}`
      : `tag does not exist: ${familiarString(reference)}`,
  );
};

/** Rows for the compressed forms of the layers, which are known now (their files may be absent). */
const rememberLayers = ({ dependencies: { rows } }: PushParts, layers: readonly PushedLayer[]) => {
  for (const { diffId, descriptor } of layers) {
    const { digest, mediaType, size: sizeBytes } = descriptor;
    rows.putLayer(diffId, rows.layerSize(diffId) ?? 0, [{ digest, mediaType, sizeBytes }]);
  }
};

/** The digest's name; an index that was made anew takes the place of the one that the tag stood for. */
const remember = (
  parts: PushParts,
  reference: Reference,
  { document, images, made }: PushedContent,
  isIndex: boolean,
): void => {
  const { dependencies, catalog } = parts;
  const { rows } = dependencies;
  const repository = repositoryOf(reference);
  const { digest } = document;
  rows.transaction(() => {
    for (const { layers } of images) rememberLayers(parts, layers);
    const [first] = images;
    // An artifact is its own manifest.
    const imageId = first?.row.id ?? digest;
    if (!isIndex && rows.get(imageId) !== undefined) {
      rows.setReference({ repository, digest, imageId });
    }
  });
  if (!isIndex) return;
  const pinned = `${repository}@${digest}`;
  const tagged = made.length === 0 ? [] : [`${repository}:${reference.tag}`];
  const registration = {
    target: digest,
    documents: made,
    images: [],
    references: [pinned, ...tagged],
  };
  registerIndex(dependencies, catalog.indexes, registration, "silent");
  sweepManifests(dependencies, catalog);
};

const publishPush = (
  { dependencies }: PushParts,
  reference: Reference,
  row: ImageRow | undefined,
): void => {
  const name = familiarString(reference);
  dependencies.publish({
    status: "push",
    id: name,
    Type: "image",
    Action: "push",
    Actor: {
      ID: name,
      Attributes: { ...row?.config.config?.Labels, name: familiarName(reference) },
    },
  });
};

/** What docker's client makes a note of. */
const insteadOf = ({ dependencies }: PushParts, index: Digest, pushed: ManifestRow): object => {
  const describe = ({ mediaType, digest, document }: ManifestRow) => ({
    mediaType,
    digest,
    size: Buffer.byteLength(document),
  });
  const original = dependencies.rows.manifests.get(index);
  return {
    manifestPushedInsteadOfIndex: true,
    ...(original === undefined ? {} : { originalIndex: describe(original) }),
    selectedManifest: describe(pushed),
  };
};

const pushOne = async (
  parts: PushParts,
  reference: Reference,
  options: PushOptions,
): Promise<void> => {
  const { catalog, dependencies, remote, config, pool } = parts;
  const { credentials, onEvent, platform, signal } = options;
  const choice = choosePush(catalog, familiarString(reference), platform);
  const repository = remote.repository(reference, credentials);
  const access = () => ({
    config,
    state: remote.state(),
    reference: formatReference(reference),
    credentials,
  });
  const push = { catalog, dependencies, pool, repository, access, signal, onEvent };
  const pushed =
    choice.kind === "index"
      ? await pushTarget(push, choice.target)
      : isArtifact(choice.row)
        ? await pushTarget(push, choice.row.id)
        : await pushImage(push, choice.row, manifestOf(parts, choice.member));
  const { digest, document: text, mediaType } = pushed.document;
  const tag = reference.tag ?? "";
  await repository.putManifest(tag, mediaType, text, signal);
  await pushReferrers(push, digestsBelow(catalog, digest, text));
  remember(parts, reference, pushed, choice.kind === "index");
  const sizeBytes = Buffer.byteLength(text);
  if (choice.kind === "image" && choice.insteadOf !== undefined) {
    onEvent({ status: "", aux: insteadOf(parts, choice.insteadOf, pushed.document) });
  }
  onEvent({ status: `${tag}: digest: ${digest} size: ${sizeBytes}` });
  onEvent({ status: "", aux: { Tag: tag, Digest: digest, Size: sizeBytes } });
  const [first] = pushed.images;
  publishPush(parts, reference, choice.kind === "image" ? choice.row : first?.row);
};

const manifestOf = (
  { dependencies }: PushParts,
  member: IndexMember | undefined,
): ManifestRow | undefined =>
  member === undefined ? undefined : dependencies.rows.manifests.get(member.descriptor.digest);

/** See `Images.push`. */
export const pushImages = async (
  parts: PushParts,
  name: string,
  options: PushOptions,
): Promise<void> => {
  const repository = repositoryOf(parseReference(name));
  options.onEvent({ status: `The push refers to repository [${repository}]` });
  for (const reference of referencesOf(parts, name, options))
    await pushOne(parts, reference, options);
};
