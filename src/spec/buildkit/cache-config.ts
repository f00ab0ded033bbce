/**
 * BuildKit's cache as registries and layouts keep it: "application/vnd.buildkit.cacheconfig.v0", a list of layers
 * (each on top of an earlier one) and of records, what was once made by which key. BuildKit's records are linked by
 * their inputs; naru's keys hold their inputs already, so its records have none, and carry below "naru" what history
 * and listings need. Either reads the other's document; neither finds its own keys in the other's.
 */
import { NaruError } from "#lib/errors.ts";
import { asArray, asObject, asOptionalString, decodeJson } from "#spec/image/decode.ts";
import { type Digest, isDigest, parseDigest } from "#spec/image/digest.ts";

export const CACHE_CONFIG = "application/vnd.buildkit.cacheconfig.v0";
/** In an image's config: the records in base64, whose layers are the image's own by their place in it. */
export const INLINE_CACHE = "moby.buildkit.cache.v0";

export interface CacheLayer {
  readonly blob: Digest;
  /** Index of the layer below; -1 for none. */
  readonly parent: number;
  readonly mediaType: string;
  /** undefined: the image that carries the document knows it. */
  readonly diffId: Digest | undefined;
  readonly sizeBytes: number;
}

interface OwnRecord {
  readonly description: string;
  readonly hasLayer: boolean;
  /** In place of `layer`: layers that stand on each other as nowhere in the document. */
  readonly layers?: readonly number[];
}

export interface CacheRecord {
  readonly key: Digest;
  /** Index of the topmost layer; undefined: an empty tree, or BuildKit's record without a result. */
  readonly layer: number | undefined;
  /** RFC 3339. */
  readonly createdAt: string;
  /** Only in what naru wrote. */
  readonly naru: OwnRecord | undefined;
}

export interface CacheConfig {
  readonly layers: readonly CacheLayer[];
  readonly records: readonly CacheRecord[];
}

const recordDocument = ({ key, layer, createdAt, naru }: CacheRecord): object => ({
  ...(layer === undefined ? {} : { layers: [{ layer, createdAt }] }),
  digest: key,
  ...(naru === undefined ? {} : { naru: { ...naru, createdAt } }),
});

export const formatCacheConfig = ({ layers, records }: CacheConfig): string =>
  JSON.stringify({
    layers: layers.map(({ blob, parent, mediaType, diffId, sizeBytes }) => ({
      blob,
      parent,
      annotations: { mediaType, diffID: diffId, size: sizeBytes },
    })),
    records: records.map(recordDocument),
  });

/** For an image's config. */
export const formatInlineCache = (records: readonly CacheRecord[]): string =>
  JSON.stringify(records.map(recordDocument));

/** 0 where it is left out, as Go's JSON does. */
const asIndex = (value: unknown, count: number): number => {
  const index = Number(value ?? 0);
  if (Number.isInteger(index) && index >= -1 && index < count) return index;
  throw new NaruError("invalid_argument", `the build cache names layer ${String(value)}`);
};

const digestIn = (value: unknown): Digest | undefined =>
  typeof value === "string" && isDigest(value) ? parseDigest(value) : undefined;

const decodeLayer = (value: unknown, position: number, count: number): CacheLayer => {
  const layer = asObject(value, "cache layer");
  const annotations = asObject(layer["annotations"] ?? {}, "cache layer annotations");
  const blob = digestIn(layer["blob"]);
  if (blob === undefined) {
    throw new NaruError("invalid_argument", `layer ${position} of the build cache has no digest`);
  }
  return {
    blob,
    parent: asIndex(layer["parent"], count),
    mediaType: asOptionalString(annotations["mediaType"], "mediaType") ?? "",
    diffId: digestIn(annotations["diffID"]),
    sizeBytes: Number(annotations["size"] ?? 0),
  };
};

const decodeRecord = (value: unknown, layers: number): CacheRecord[] => {
  const record = asObject(value, "cache record");
  const key = digestIn(record["digest"]);
  if (key === undefined) return [];
  const own = record["naru"] === undefined ? undefined : asObject(record["naru"], "naru");
  const [first] = asArray(record["layers"], "cache results");
  const result = first === undefined ? undefined : asObject(first, "cache result");
  const layer = result === undefined ? -1 : asIndex(result["layer"], layers);
  return [
    {
      key,
      layer: layer < 0 ? undefined : layer,
      createdAt: asOptionalString(own?.["createdAt"] ?? result?.["createdAt"], "createdAt") ?? "",
      naru:
        own === undefined
          ? undefined
          : {
              description: asOptionalString(own["description"], "description") ?? "",
              hasLayer: own["hasLayer"] === true,
              ...(own["layers"] === undefined
                ? {}
                : { layers: asArray(own["layers"], "layers").map((one) => asIndex(one, layers)) }),
            },
    },
  ];
};

/** Of an image with these layers. A whole document, as naru once wrote it there, is read as well. */
export const parseInlineCache = (
  text: string,
  layersOfImage: readonly { readonly digest: Digest; readonly diffId: Digest | undefined }[],
): CacheConfig => {
  const given = decodeJson(text, "build cache");
  if (!Array.isArray(given)) return parseCacheConfig(text);
  return {
    layers: layersOfImage.map(({ digest, diffId }, index) => ({
      blob: digest,
      parent: index - 1,
      mediaType: "",
      diffId,
      sizeBytes: 0,
    })),
    records: given.flatMap((record) => decodeRecord(record, layersOfImage.length)),
  };
};

/** Throws invalid_argument for what is no such document. */
export const parseCacheConfig = (text: string): CacheConfig => {
  const document = asObject(decodeJson(text, "build cache"), "build cache");
  const given = asArray(document["layers"], "cache layers");
  const layers = given.map((layer, index) => decodeLayer(layer, index, given.length));
  const records = asArray(document["records"], "cache records");
  return { layers, records: records.flatMap((record) => decodeRecord(record, layers.length)) };
};

/** Layers from the lowest up to `top`. Throws invalid_argument for layers that stand on themselves. */
export const chainOfCacheLayer = ({ layers }: CacheConfig, top: number): CacheLayer[] => {
  const chain: CacheLayer[] = [];
  for (let index = top; index >= 0;) {
    const layer: CacheLayer | undefined = layers[index];
    if (layer === undefined) break;
    chain.unshift(layer);
    if (chain.length > layers.length) {
      throw new NaruError("invalid_argument", "layers of the build cache stand on themselves");
    }
    index = layer.parent;
  }
  return chain;
};
