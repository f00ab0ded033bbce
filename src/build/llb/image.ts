/** Layers as an image: with the config that a frontend made for them, or with none. */
import type { BuildResult, LayerToImport } from "#build/build.ts";
import type { BuildDependencies } from "#build/dependencies.ts";
import { registerLayers } from "#build/export.ts";
import { now } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import {
  type HistoryEntry,
  type ImageConfig,
  parseImageConfig,
  platformOf,
} from "#spec/image/config.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";
import { HOST_PLATFORM } from "#spec/image/platform.ts";

const CREATED_BY = "naru.llb";

/** One entry for each layer: what a frontend told, and something for those that it did not know. */
const historyOf = (given: readonly HistoryEntry[], layers: number): readonly HistoryEntry[] => {
  const told = given.filter((entry) => entry.empty_layer !== true).length;
  if (told > layers) return Array.from({ length: layers }, () => ({ created_by: CREATED_BY }));
  const missing = Array.from({ length: layers - told }, () => ({ created_by: CREATED_BY }));
  return [...given, ...missing];
};

const parse = (text: string): Partial<ImageConfig> => {
  try {
    const value = JSON.parse(text) as unknown;
    if (typeof value === "object" && value !== null) return value;
  } catch (cause) {
    throw new NaruError("invalid_argument", "the image's config is not JSON", { cause });
  }
  throw new NaruError("invalid_argument", "the image's config is not an object");
};

/** Results of no Dockerfile. */
const PLAIN = { tags: [], solved: [], materials: [], dockerfile: "" };

/**
 * Registered without a name, made at `createdAt` (RFC 3339), or when the config or the cache say. `configText`: JSON of an image's config, whose layers are replaced; "" for none.
 */
export const registerTree = (
  dependencies: BuildDependencies,
  chainId: Digest | undefined,
  configText: string,
  createdAt?: string,
): BuildResult => {
  const { snapshots, rows } = dependencies;
  const layers = chainId === undefined ? [] : snapshots.chain(chainId).toReversed();
  const given = configText === "" ? {} : parse(configText);
  const made = chainId === undefined ? undefined : rows.madeAt(chainId);
  const created = createdAt ?? given.created ?? made ?? now();
  const config: ImageConfig = {
    ...given,
    created,
    architecture: given.architecture ?? HOST_PLATFORM.architecture,
    os: given.os ?? HOST_PLATFORM.os,
    config: given.config ?? {},
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
    history: historyOf(given.history ?? [], layers.length).map((entry) => ({ created, ...entry })),
  };
  const text = JSON.stringify(config);
  const imageId = digestOf(text);
  const wasHere = dependencies.images.find(imageId) !== undefined;
  registerLayers(dependencies, { text, parent: undefined, diffIds: config.rootfs.diff_ids });
  return { ...PLAIN, imageId, chainId, platform: platformOf(config), wasHere };
};

/** Read as it is asked for; cancelling ends the source. */
const pulled = (source: AsyncGenerator<Uint8Array, void>): ReadableStream<Uint8Array> =>
  new ReadableStream({
    pull: async (controller) => {
      const next = await source.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
    cancel: async () => {
      await source.return();
    },
  });

/** Layers from elsewhere as an image without a name; those that are here are not read. */
export const importLayers = async (
  dependencies: BuildDependencies,
  configText: string,
  layers: readonly LayerToImport[],
  signal: AbortSignal,
): Promise<BuildResult> => {
  let parent: Digest | undefined;
  for (const { diffId, read } of layers) {
    const source = { stream: pulled(read()) };
    parent = (await dependencies.snapshots.unpack({ parent, diffId, source, signal })).chainId;
  }
  const diffIds = layers.map(({ diffId }) => diffId);
  const imageId = digestOf(configText);
  const wasHere = dependencies.images.find(imageId) !== undefined;
  registerLayers(dependencies, { text: configText, parent: undefined, diffIds });
  const platform = platformOf(parseImageConfig(configText));
  return { ...PLAIN, imageId, chainId: parent, platform, wasHere };
};
