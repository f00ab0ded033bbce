/** `docker push`: what the registry has not, then the config, then the manifest under the tag. */
import { ensureLayerBlobs } from "#image/layer-blobs.ts";
import type { PushOptions } from "#image/transfer.ts";
import type { PullParts } from "#image/pull.ts";
import { pushManifestOf } from "#image/push-manifest.ts";
import { type PushedLayer, pushLayers } from "#image/push-layers.ts";
import { NaruError } from "#lib/errors.ts";
import type { ImageRow } from "#metadata/images.ts";
import type { Repository } from "#remote/remote.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";
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
    `An image does not exist locally with the tag: ${familiarName(reference)}`,
  );
};

const rowOf = ({ catalog }: PushParts, reference: Reference, { platform }: PushOptions): ImageRow =>
  catalog.chosen(familiarString(reference), platform);

const pushConfig = async (
  repository: Repository,
  row: ImageRow,
  signal: AbortSignal,
): Promise<void> => {
  if (await repository.hasBlob(row.id, signal)) return;
  const bytes = Buffer.from(row.configText);
  const upload = await repository.upload({}, signal);
  await upload?.append(() => new Blob([bytes]), bytes.length, signal);
  await upload?.finish(row.id, signal);
};

/** Rows for what is known now: the compressed forms of the layers (their files may be absent), the digest's name. */
const remember = (
  { dependencies }: PushParts,
  reference: Reference,
  row: ImageRow,
  layers: readonly PushedLayer[],
  digest: Digest,
): void => {
  const { rows } = dependencies;
  rows.transaction(() => {
    for (const { diffId, descriptor } of layers) {
      const blob = {
        digest: descriptor.digest,
        mediaType: descriptor.mediaType,
        sizeBytes: descriptor.size,
      };
      rows.putLayer(diffId, rows.layerSize(diffId) ?? 0, [blob]);
    }
    rows.setReference({ repository: repositoryOf(reference), digest, imageId: row.id });
  });
};

const publishPush = ({ dependencies }: PushParts, reference: Reference, row: ImageRow): void => {
  const name = familiarString(reference);
  dependencies.publish({
    status: "push",
    id: name,
    Type: "image",
    Action: "push",
    Actor: {
      ID: name,
      Attributes: { ...row.config.config?.Labels, name: familiarName(reference) },
    },
  });
};

const pushOne = async (
  parts: PushParts,
  reference: Reference,
  options: PushOptions,
): Promise<void> => {
  const { dependencies, remote, config, pool } = parts;
  const { credentials, onEvent, signal } = options;
  const row = rowOf(parts, reference, options);
  const repository = remote.repository(reference, credentials);
  const ids = row.config.rootfs.diff_ids;
  await ensureLayerBlobs(dependencies, row, signal);
  using _lease = dependencies.leases.acquire(
    ids
      .flatMap((diffId) => dependencies.rows.layerBlobs(diffId))
      .map(({ digest }) => ({ kind: "blob" as const, resource: digest })),
  );
  const access = () => ({
    config,
    state: remote.state(),
    reference: formatReference(reference),
    credentials,
  });
  const layers = await pushLayers({ dependencies, pool, repository, access, signal, onEvent }, row);
  await pushConfig(repository, row, signal);
  const { text, mediaType } = pushManifestOf(dependencies, row, layers);
  const tag = reference.tag ?? "";
  await repository.putManifest(tag, mediaType, text, signal);
  const digest = digestOf(text);
  remember(parts, reference, row, layers, digest);
  const sizeBytes = Buffer.byteLength(text);
  onEvent({ status: `${tag}: digest: ${digest} size: ${sizeBytes}` });
  onEvent({ status: "", aux: { Tag: tag, Digest: digest, Size: sizeBytes } });
  publishPush(parts, reference, row);
};

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
