/** Images made of another one: a new layer on top, or only a new config. */
import { open } from "node:fs/promises";
import type { Catalog } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import { discardLayer } from "#image/collect.ts";
import type { CreateFromLayer, LayerTar, NewLayer, StoredImage } from "#image/image.ts";
import { platformFields, targetOf } from "#image/import.ts";
import { registerImage } from "#image/register.ts";
import type { Ingest } from "#content/content.ts";
import { now } from "#lib/clock.ts";
import type { Lease } from "#metadata/leases.ts";
import { NaruError } from "#lib/errors.ts";
import { chainId } from "#spec/image/chain-id.ts";
import { type HistoryEntry, type ImageConfig, platformOf } from "#spec/image/config.ts";
import type { Digest } from "#spec/image/digest.ts";
import { OCI_LAYER } from "#spec/image/media-type.ts";
import { HOST_PLATFORM } from "#spec/image/platform.ts";

/** Docker leaves empty fields out. */
const textField = <K extends string>(name: K, value: string | undefined): { [P in K]?: string } =>
  (value === undefined || value === "" ? {} : { [name]: value }) as { [P in K]?: string };

const configOf = (
  request: CreateFromLayer,
  below: ImageConfig | undefined,
  diffIds: readonly Digest[],
): ImageConfig => {
  const createdAt = now();
  const history: HistoryEntry = {
    created: createdAt,
    ...textField("author", request.author),
    ...textField("created_by", request.createdBy),
    ...textField("comment", request.message),
    ...(request.layer === undefined ? { empty_layer: true } : {}),
  };
  const platform = request.platform ?? (below === undefined ? HOST_PLATFORM : platformOf(below));
  return {
    created: createdAt,
    ...textField("author", request.author || below?.author),
    ...platformFields(platform),
    config: request.config,
    rootfs: { type: "layers", diff_ids: diffIds },
    history: [...(below?.history ?? []), history],
    ...textField("comment", request.message),
    ...textField("container", request.container),
    ...(request.containerConfig === undefined ? {} : { container_config: request.containerConfig }),
  };
};

type StoredLayer = StoredImage["layers"][number];

const topLayer = ({ content }: ImageDependencies, layer: NewLayer, chain: Digest): StoredLayer => {
  const { diffId, sizeBytes, blob } = layer;
  if (chain !== layer.chainId) {
    throw new NaruError("invalid_argument", `layer "${layer.chainId}" does not stand on its image`);
  }
  if (blob === undefined) return { diffId, sizeBytes, blobs: [] };
  const { digest, mediaType, size } = blob;
  if (content.info(digest) === undefined) {
    throw new NaruError("failed_precondition", `layer blob "${digest}" is not stored`);
  }
  return { diffId, sizeBytes, blobs: [{ digest, mediaType, sizeBytes: size }] };
};

/** Brings the file's bytes to the disk without holding the thread. */
const syncFile = async (path: string): Promise<number> => {
  await using file = await open(path, "r");
  await file.datasync();
  return (await file.stat()).size;
};

interface TarContext {
  readonly dependencies: ImageDependencies;
  readonly signal: AbortSignal | undefined;
  readonly undo: AsyncDisposableStack;
  readonly lease: Lease;
  readonly ingest: Ingest;
}

/** Unpacks the tar and makes it a blob. */
const storeTar = async (
  { dependencies, signal, undo, lease, ingest }: TarContext,
  { diffId, path }: LayerTar,
  parent: Digest | undefined,
  chain: Digest,
): Promise<StoredLayer> => {
  const { layers } = dependencies;
  lease.add({ kind: "layer", resource: chain }, { kind: "blob", resource: diffId });
  if (layers.layer(chain) === undefined) undo.defer(() => discardLayer(dependencies, chain));
  const stop = signal === undefined ? {} : { signal };
  const [{ sizeBytes }, tarBytes] = await Promise.all([
    layers.unpack({ parent, source: { path }, diffId, ...stop }),
    syncFile(path),
  ]);
  ingest.commit(path, diffId, tarBytes);
  return {
    diffId,
    sizeBytes,
    blobs: [{ digest: diffId, mediaType: OCI_LAYER, sizeBytes: tarBytes }],
  };
};

/** See `Images.createFromLayer`. */
export const createFromLayer = async (
  dependencies: ImageDependencies,
  catalog: Catalog,
  request: CreateFromLayer,
): Promise<Digest> => {
  const { content, leases, rows } = dependencies;
  const { layer, parent } = request;
  const references = targetOf(request.reference);
  const below = parent === undefined ? undefined : catalog.row(parent).config;
  const lower = below?.rootfs.diff_ids ?? [];
  const diffIds = [...lower, ...(layer === undefined ? [] : [layer.diffId])];
  const configText = JSON.stringify(configOf(request, below, diffIds));
  await using undo = new AsyncDisposableStack();
  using lease = leases.acquire([]);
  await using ingest = content.openIngest();
  const stored: StoredLayer[] = lower.map((diffId) => ({
    diffId,
    sizeBytes: rows.layerSize(diffId) ?? 0,
    blobs: [],
  }));
  const chain = chainId(diffIds);
  if (layer !== undefined && chain !== undefined) {
    const context = { dependencies, signal: request.signal, undo, lease, ingest };
    stored.push(
      "path" in layer
        ? await storeTar(context, layer, chainId(lower), chain)
        : topLayer(dependencies, layer, chain),
    );
  }
  const id = registerImage(
    dependencies,
    { configText, layers: stored, ...(parent === undefined ? {} : { parent }) },
    references,
  );
  undo.move();
  return id;
};
