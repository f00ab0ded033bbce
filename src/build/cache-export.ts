/** What a build has found out, as a document for other machines: `--cache-to`. */
import type { BuildResult, SolvedStep } from "#build/build.ts";
import type { BuildDependencies } from "#build/dependencies.ts";
import {
  type Bundle,
  type BundledLayer,
  type LayerFormat,
  type LayerPosition,
  documentOf,
} from "#image/bundle.ts";
import {
  CACHE_CONFIG,
  type CacheConfig,
  type CacheRecord,
  INLINE_CACHE,
  formatCacheConfig,
  formatInlineCache,
} from "#spec/buildkit/cache-config.ts";
import type { Digest } from "#spec/image/digest.ts";
import { DOCKER_MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST } from "#spec/image/media-type.ts";

const UNCOMPRESSED = "containerd.io/uncompressed";

export interface CacheExportOptions {
  /** min: the steps that the result stands on. max: those of all stages that were run. */
  readonly mode: "min" | "max";
  readonly format: LayerFormat;
  /** False: an index in place of a manifest, as older readers want it. */
  readonly isImageManifest: boolean;
}

export interface CacheBundle extends Disposable {
  readonly bundle: Bundle;
}

/** Steps whose layers are still here, each once. */
const exported = (
  { snapshots }: BuildDependencies,
  { solved }: BuildResult,
  mode: CacheExportOptions["mode"],
): SolvedStep[] => {
  const wanted = solved.filter(
    ({ chainId, isOfResult }) =>
      (mode === "max" || isOfResult) &&
      (chainId === undefined || snapshots.layer(chainId) !== undefined),
  );
  const byKey = new Map(wanted.map((step) => [step.key, step]));
  return [...byKey.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1));
};

/** All layers that the steps stand on, each after the one below it. */
const positionsOf = (
  { snapshots }: BuildDependencies,
  steps: readonly SolvedStep[],
): LayerPosition[] => {
  const seen = new Map<Digest, LayerPosition>();
  for (const { chainId } of steps) {
    if (chainId === undefined) continue;
    for (const layer of snapshots.chain(chainId).toReversed()) seen.set(layer.chainId, layer);
  }
  return [...seen.values()].map(({ chainId, diffId }) => ({ chainId, diffId }));
};

/** `places`: of layers in what the record stands beside. */
const recordOf = (
  { key, chainId, createdAt, description, hasLayer }: SolvedStep,
  places: ReadonlyMap<Digest, number>,
): CacheRecord => ({
  key,
  layer: chainId === undefined ? undefined : places.get(chainId),
  createdAt,
  naru: { description, hasLayer },
});

const configOf = (
  { snapshots }: BuildDependencies,
  steps: readonly SolvedStep[],
  positions: readonly LayerPosition[],
  layers: readonly BundledLayer[],
): CacheConfig => {
  const indexes = new Map(positions.map(({ chainId }, index) => [chainId, index]));
  return {
    layers: positions.flatMap(({ chainId, diffId }, index) => {
      const found = layers[index];
      if (found === undefined) return [];
      const { mediaType, digest, size } = found.descriptor;
      const below = snapshots.layer(chainId)?.parent;
      const parent = below === undefined ? -1 : (indexes.get(below) ?? -1);
      return [{ blob: digest, parent, mediaType, diffId, sizeBytes: size }];
    }),
    records: steps.map((step) => recordOf(step, indexes)),
  };
};

/** See `Builds.exportCache`. */
export const exportCache = async (
  dependencies: BuildDependencies,
  result: BuildResult,
  { mode, format, isImageManifest }: CacheExportOptions,
  signal: AbortSignal,
): Promise<CacheBundle> => {
  const steps = exported(dependencies, result, mode);
  const positions = positionsOf(dependencies, steps);
  const held = await (await dependencies.images.bundles()).layers(positions, format, signal);
  const text = formatCacheConfig(configOf(dependencies, steps, positions, held.layers));
  const config = documentOf(text, CACHE_CONFIG, false);
  const blobs = new Map(held.layers.map((layer) => [layer.descriptor.digest, layer]));
  // BuildKit looks there for what a layer is without its compression.
  const descriptors = [...blobs.values()].map(({ descriptor, diffId }) => ({
    ...descriptor,
    annotations: { [UNCOMPRESSED]: diffId },
  }));
  const document = isImageManifest
    ? {
        schemaVersion: 2,
        mediaType: OCI_MANIFEST,
        config: config.descriptor,
        layers: descriptors,
      }
    : {
        schemaVersion: 2,
        mediaType: format.isOci ? OCI_INDEX : DOCKER_MANIFEST_LIST,
        manifests: [...descriptors, config.descriptor],
      };
  const root = documentOf(JSON.stringify(document), document.mediaType, true);
  return {
    bundle: {
      root: root.descriptor,
      documents: [config, root],
      blobs: [...blobs.values()],
    },
    [Symbol.dispose]: () => held[Symbol.dispose](),
  };
};

/** The text of an image's config with the steps that it stands on inside: those whose layers it has itself. */
export const withInlineCache = (
  dependencies: BuildDependencies,
  result: BuildResult,
  configText: string,
): string => {
  const { chainId: top } = result;
  const chain = top === undefined ? [] : dependencies.snapshots.chain(top).toReversed();
  const places = new Map(chain.map(({ chainId }, index) => [chainId, index]));
  const byDiffId = new Map(chain.map(({ diffId }, index) => [diffId, index]));
  const records = exported(dependencies, result, "min").flatMap((step): CacheRecord[] => {
    const record = recordOf(step, places);
    const { chainId } = step;
    if (chainId === undefined || places.has(chainId)) return [record];
    // Layers of their own (COPY --link) stand on others in the image than where they were made.
    const own = dependencies.snapshots.chain(chainId).toReversed();
    const layers = own.flatMap(({ diffId }) => byDiffId.get(diffId) ?? []);
    const { description, hasLayer } = step;
    return layers.length === own.length
      ? [{ ...record, naru: { description, hasLayer, layers } }]
      : [];
  });
  const text = formatInlineCache(records);
  const config = JSON.parse(configText) as Record<string, unknown>;
  return JSON.stringify({ ...config, [INLINE_CACHE]: Buffer.from(text).toString("base64") });
};
