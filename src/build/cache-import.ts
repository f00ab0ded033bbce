/**
 * Caches of other machines: `--cache-from`. A cache is a document at a registry or in a layout, or a part of an
 * image's config. Only its document is read at first; layers are fetched for steps that are found in it.
 */
import type { CacheSource, ImportedCache, ImportedStep } from "#build/build.ts";
import type { BuildDependencies } from "#build/dependencies.ts";
import type { Solver } from "#build/solver.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import {
  CACHE_CONFIG,
  type CacheConfig,
  INLINE_CACHE,
  chainOfCacheLayer,
  parseCacheConfig,
  parseInlineCache,
} from "#spec/buildkit/cache-config.ts";
import { chainIds } from "#spec/image/chain-id.ts";
import { parseImageConfig } from "#spec/image/config.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";
import { type ImageManifest, parseManifest } from "#spec/image/manifest.ts";

const DOCUMENT_MAX_BYTES = 64 * 1024 * 1024;
/** Images of an index that are looked into. */
const IMAGES_MAX = 16;

const readText = async (
  source: CacheSource,
  blob: Descriptor,
  signal: AbortSignal,
): Promise<string> => {
  if (blob.size > DOCUMENT_MAX_BYTES) {
    throw new NaruError("resource_exhausted", `cache "${source.name}" is too large to be read`);
  }
  const text = await new Response(await source.blob(blob, signal)).text();
  if (digestOf(text) === blob.digest) return text;
  throw new NaruError("data_loss", `cache "${source.name}" is not what its digest says`);
};

type Part = (index: number) => { readonly blob: Descriptor; readonly diffId: Digest } | undefined;

interface Found {
  readonly config: CacheConfig;
  /** A layer of `config` by its index. */
  readonly part: Part;
}

const plainFound = (config: CacheConfig): Found => ({
  config,
  part: (index) => {
    const layer = config.layers[index];
    if (layer?.diffId === undefined) return undefined;
    const { blob: digest, mediaType, sizeBytes: size, diffId } = layer;
    return { blob: { digest, mediaType, size }, diffId };
  },
});

/** An image that carries its cache: its manifest has what the layers are. */
const inlineFound = async (
  source: CacheSource,
  manifest: ImageManifest,
  signal: AbortSignal,
): Promise<Found | undefined> => {
  const text = await readText(source, manifest.config, signal);
  const inline = (JSON.parse(text) as Record<string, unknown>)[INLINE_CACHE];
  if (typeof inline !== "string") return undefined;
  const { diff_ids: diffIds } = parseImageConfig(text).rootfs;
  const own = manifest.layers.map(({ digest }, index) => ({ digest, diffId: diffIds[index] }));
  const config = parseInlineCache(Buffer.from(inline, "base64").toString("utf8"), own);
  return {
    config,
    part: (index) => {
      const wanted = config.layers[index]?.blob;
      const at = manifest.layers.findIndex(({ digest }) => digest === wanted);
      const [blob, diffId] = [manifest.layers[at], diffIds[at]];
      return blob === undefined || diffId === undefined ? undefined : { blob, diffId };
    },
  };
};

const findConfigs = async (source: CacheSource, signal: AbortSignal): Promise<Found[]> => {
  const { text, mediaType } = await source.document(undefined, signal);
  const manifest = parseManifest(text, mediaType);
  if (manifest.kind === "manifest") {
    if (manifest.config.mediaType === CACHE_CONFIG) {
      return [plainFound(parseCacheConfig(await readText(source, manifest.config, signal)))];
    }
    const found = await inlineFound(source, manifest, signal);
    return found === undefined ? [] : [found];
  }
  const config = manifest.manifests.find((one) => one.mediaType === CACHE_CONFIG);
  if (config !== undefined) {
    return [plainFound(parseCacheConfig(await readText(source, config, signal)))];
  }
  const found: Found[] = [];
  for (const { digest, platform } of manifest.manifests.slice(0, IMAGES_MAX)) {
    if (platform?.os === "unknown") continue;
    const child = await source.document(digest, signal);
    const image = parseManifest(child.text, child.mediaType);
    const one = image.kind === "manifest" ? await inlineFound(source, image, signal) : undefined;
    if (one !== undefined) found.push(one);
  }
  return found;
};

/** The steps that naru's builds can know again, by key. */
const stepsOf = (source: CacheSource, { config, part }: Found): [Digest, ImportedStep][] => {
  const parts = new Map(config.layers.map((layer, index) => [layer, part(index)]));
  return config.records.flatMap(({ key, layer, createdAt, naru }): [Digest, ImportedStep][] => {
    if (naru === undefined) return [];
    const named = naru.layers?.flatMap((index) => config.layers[index] ?? []);
    const chain = named ?? (layer === undefined ? [] : chainOfCacheLayer(config, layer));
    const layers = chain.flatMap((one) => parts.get(one) ?? []);
    if (layers.length !== chain.length) return [];
    return [[key, { ...naru, createdAt, layers, source }]];
  });
};

/** See `Builds.openCache`. */
export const openCache = async (
  source: CacheSource,
  signal: AbortSignal,
): Promise<ImportedCache> => {
  const found = await findConfigs(source, signal);
  const records = found.reduce((sum, { config }) => sum + config.records.length, 0);
  const steps = new Map(found.flatMap((one) => stepsOf(source, one)));
  return { name: source.name, steps, records };
};

/**
 * The chainID of what the step once gave, its layers unpacked here. undefined when no cache has the key, or when its
 * layers can not be had: then the step is run.
 */
export const importStep = async (
  { snapshots, log }: Pick<BuildDependencies, "snapshots" | "log">,
  solver: Solver,
  held: DisposableStack,
  caches: readonly ImportedCache[],
  key: Digest,
  signal: AbortSignal,
): Promise<{ readonly step: ImportedStep; readonly chainId: Digest | undefined } | undefined> => {
  for (const { name, steps } of caches) {
    const step = steps.get(key);
    if (step === undefined) continue;
    const chain = chainIds(step.layers.map(({ diffId }) => diffId));
    for (const chainId of chain) held.use(solver.hold(chainId));
    try {
      for (const [index, { blob, diffId }] of step.layers.entries()) {
        const chainId = chain[index];
        if (chainId === undefined || snapshots.layer(chainId) !== undefined) continue;
        const stream = await step.source.blob(blob, signal);
        await snapshots.unpack({ parent: chain[index - 1], source: { stream }, diffId, signal });
      }
      return { step, chainId: chain.at(-1) };
    } catch (error) {
      signal.throwIfAborted();
      const { message } = toNaruError(error);
      log.warn("a step's layers could not be had from a cache", { cache: name, key, message });
    }
  }
  return undefined;
};
