/** The layers of a push: asked for, mounted, or sent, side by side. */
import type { ImageDependencies } from "#image/dependencies.ts";
import type { FetchPool } from "#image/fetch-pool.ts";
import type { RegistryAccess } from "#image/fetch-protocol.ts";
import type { TransferEvent } from "#image/transfer.ts";
import { NaruError } from "#lib/errors.ts";
import type { ImageRow, LayerBlobRow } from "#metadata/images.ts";
import type { Repository } from "#remote/remote.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import { type Digest, shortId } from "#spec/image/digest.ts";
import { parseManifest } from "#spec/image/manifest.ts";
import { OCI_LAYER_GZIP, isUrlLayer } from "#spec/image/media-type.ts";

export interface PushedLayer {
  readonly diffId: Digest;
  /** As the registry has it. */
  readonly descriptor: Descriptor;
}

export interface LayerPush {
  readonly dependencies: ImageDependencies;
  readonly pool: FetchPool;
  readonly repository: Repository;
  readonly access: () => RegistryAccess;
  readonly signal: AbortSignal;
  readonly onEvent: (event: TransferEvent) => void;
}

const MOUNTS_MAX = 3;

/** Repositories of the same registry that are known to have had the layer. */
const mountSources = (
  { dependencies, repository }: LayerPush,
  diffId: Digest,
): readonly string[] => {
  const { rows } = dependencies;
  const { domain, path } = repository.reference;
  const sources = new Set<string>();
  for (const row of rows.references()) {
    // Only a name with a digest says that the image is, or was, at a registry.
    if (row.digest === undefined || !row.repository.startsWith(`${domain}/`)) continue;
    const from = row.repository.slice(domain.length + 1);
    if (from === path || sources.size >= MOUNTS_MAX) continue;
    const diffIds = rows.get(row.imageId)?.config.rootfs.diff_ids ?? [];
    if (diffIds.includes(diffId)) sources.add(from);
  }
  return [...sources];
};

/** "exists", "mounted from x", or undefined: it has to be sent. */
const findThere = async (
  push: LayerPush,
  diffId: Digest,
  digest: Digest,
): Promise<string | undefined> => {
  const { repository, signal } = push;
  if (await repository.hasBlob(digest, signal)) return "Layer already exists";
  for (const from of mountSources(push, diffId)) {
    const upload = await repository.upload({ mount: { digest, from } }, signal);
    if (upload === undefined) return `Mounted from ${from}`;
    await upload.cancel();
  }
  return undefined;
};

const lost = (diffId: Digest): NaruError =>
  new NaruError(
    "data_loss",
    `the content of layer "${diffId}" is not stored here any more: pull or load its image again`,
  );

const send = async (
  push: LayerPush,
  diffId: Digest,
  blob: LayerBlobRow,
  isCompressed: boolean,
): Promise<Descriptor> => {
  const { dependencies, pool, access, signal, onEvent } = push;
  const { content } = dependencies;
  const id = shortId(diffId);
  const { digest, sizeBytes } = await pool.run(
    {
      ...access(),
      kind: "push",
      path: content.path(blob.digest),
      sizeBytes: blob.sizeBytes,
      ...(isCompressed ? { digest: blob.digest } : {}),
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
  return { mediaType: isCompressed ? blob.mediaType : OCI_LAYER_GZIP, digest, size: sizeBytes };
};

/** A blob that goes as it is: of an attestation or an artifact. */
export const pushBlob = async (push: LayerPush, blob: Descriptor): Promise<void> => {
  const { content } = push.dependencies;
  const { digest, mediaType, size: sizeBytes } = blob;
  const there = await findThere(push, digest, digest);
  if (there !== undefined) return push.onEvent({ status: there, id: shortId(digest) });
  if (content.info(digest) === undefined) {
    throw new NaruError("data_loss", `blob "${digest}" is not stored here any more: pull it again`);
  }
  await send(push, digest, { diffId: digest, digest, mediaType, sizeBytes }, true);
};

const pushLayer = async (
  push: LayerPush,
  diffId: Digest,
  preferred: Descriptor | undefined,
): Promise<Descriptor> => {
  const { content, rows } = push.dependencies;
  if (preferred !== undefined && isUrlLayer(preferred) && !push.repository.takesForeign) {
    push.onEvent({ status: "Skipped foreign layer", id: shortId(diffId) });
    return preferred;
  }
  const blobs = rows.layerBlobs(diffId);
  const isPreferred = ({ digest }: LayerBlobRow): boolean => digest === preferred?.digest;
  // What a manifest that is meant says goes before what is there.
  const compressed = blobs
    .filter(({ digest }) => digest !== diffId)
    .toSorted((a, b) => Number(isPreferred(b)) - Number(isPreferred(a)));
  // A form that was pushed or pulled before, though its file may be gone: perhaps the registry has it.
  for (const blob of compressed) {
    const there = await findThere(push, diffId, blob.digest);
    if (there === undefined) continue;
    push.onEvent({ status: there, id: shortId(diffId) });
    return { mediaType: blob.mediaType, digest: blob.digest, size: blob.sizeBytes };
  }
  const isHere = ({ digest }: LayerBlobRow): boolean => content.info(digest) !== undefined;
  const ready = compressed.find(isHere);
  if (ready !== undefined) return await send(push, diffId, ready, true);
  const plain = blobs.find(isHere);
  if (plain === undefined) throw lost(diffId);
  return await send(push, diffId, plain, false);
};

/** By diffID: the layers as a manifest has them. */
const layersOf = (row: ImageRow, document: string | undefined): ReadonlyMap<Digest, Descriptor> => {
  const manifest = document === undefined ? undefined : parseManifest(document);
  if (manifest?.kind !== "manifest") return new Map();
  return new Map(
    row.config.rootfs.diff_ids.flatMap((diffId, at) => {
      const layer = manifest.layers[at];
      return layer === undefined ? [] : [[diffId, layer] as const];
    }),
  );
};

/** Lowest first. The first failure stops the rest. `document`: the manifest whose forms of the layers are meant. */
export const pushLayers = async (
  given: LayerPush,
  row: ImageRow,
  document?: string,
): Promise<PushedLayer[]> => {
  const preferred = layersOf(row, document);
  const stop = new AbortController();
  const push = { ...given, signal: AbortSignal.any([given.signal, stop.signal]) };
  const { diff_ids: diffIds } = row.config.rootfs;
  for (const diffId of diffIds.toReversed()) {
    push.onEvent({ status: "Preparing", id: shortId(diffId) });
  }
  // The same content twice is sent once.
  const sent = new Map<Digest, Promise<Descriptor>>();
  for (const diffId of diffIds) {
    if (sent.has(diffId)) continue;
    const sending = pushLayer(push, diffId, preferred.get(diffId));
    sending.catch((error: unknown) => stop.abort(error));
    sent.set(diffId, sending);
  }
  await Promise.allSettled(sent.values());
  given.signal.throwIfAborted();
  if (stop.signal.aborted) throw stop.signal.reason;
  const layers: PushedLayer[] = [];
  for (const diffId of diffIds) {
    const descriptor = await sent.get(diffId);
    if (descriptor !== undefined) layers.push({ diffId, descriptor });
  }
  return layers;
};
