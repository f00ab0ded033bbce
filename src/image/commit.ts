/** Images made of another one: a new layer on top, or only a new config. */
import type { Catalog } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import type { CreateFromLayer, StoredImage } from "#image/image.ts";
import { platformFields, targetOf } from "#image/import.ts";
import { registerImage } from "#image/register.ts";
import { now } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import { chainId } from "#spec/image/chain-id.ts";
import { type HistoryEntry, type ImageConfig, platformOf } from "#spec/image/config.ts";
import type { Digest } from "#spec/image/digest.ts";
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
  };
};

type StoredLayer = StoredImage["layers"][number];

const topLayer = (layer: NonNullable<CreateFromLayer["layer"]>): StoredLayer => {
  const { diffId, sizeBytes, blob } = layer;
  const blobs =
    blob === undefined
      ? []
      : [{ digest: blob.digest, mediaType: blob.mediaType, sizeBytes: blob.size }];
  return { diffId, sizeBytes, blobs };
};

/** See `Images.createFromLayer`. */
export const createFromLayer = (
  dependencies: ImageDependencies,
  catalog: Catalog,
  request: CreateFromLayer,
): Digest => {
  const { content, rows } = dependencies;
  const { layer, parent } = request;
  const references = targetOf(request.reference);
  const below = parent === undefined ? undefined : catalog.row(parent).config;
  const lower = below?.rootfs.diff_ids ?? [];
  const diffIds = [...lower, ...(layer === undefined ? [] : [layer.diffId])];
  if (layer !== undefined && chainId(diffIds) !== layer.chainId) {
    throw new NaruError("invalid_argument", `layer "${layer.chainId}" does not stand on its image`);
  }
  if (layer?.blob !== undefined && content.info(layer.blob.digest) === undefined) {
    throw new NaruError("failed_precondition", `layer blob "${layer.blob.digest}" is not stored`);
  }
  const known = lower.map((diffId) => ({
    diffId,
    sizeBytes: rows.layerSize(diffId) ?? 0,
    blobs: [],
  }));
  return registerImage(
    dependencies,
    {
      configText: JSON.stringify(configOf(request, below, diffIds)),
      layers: [...known, ...(layer === undefined ? [] : [topLayer(layer)])],
      ...(parent === undefined ? {} : { parent }),
    },
    references,
  );
};
