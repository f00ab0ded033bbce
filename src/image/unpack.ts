/** Layers of images that are being stored: adopted where the worker unpacked them, else unpacked from their blob. */
import { discardLayer } from "#image/collect.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import type { StageResult, StagedFiles } from "#image/layer-stage.ts";
import { NaruError } from "#lib/errors.ts";
import type { Lease } from "#metadata/leases.ts";
import { chainIds } from "#spec/image/chain-id.ts";
import type { Digest } from "#spec/image/digest.ts";

export interface LayerToUnpack {
  readonly diffId: Digest;
  /** Of the blob; equal to `diffId` for a plain tar. */
  readonly digest: Digest;
  readonly path: string;
  readonly staged?: StageResult;
}

export interface UnpackContext {
  readonly dependencies: ImageDependencies;
  readonly signal: AbortSignal;
  /** Removes the new layers again. To be disposed of after `lease`. */
  readonly undo: AsyncDisposableStack;
  /** Keeps them from being collected until rows name them. */
  readonly lease: Lease;
}

const wrongSum = (layer: LayerToUnpack): NaruError =>
  new NaruError(
    "data_loss",
    `the layer's content has the sum "${layer.digest}", the image says "${layer.diffId}": it is damaged or was changed; get the image again`,
  );

/** What the worker unpacked, once it is known to be the layer that is meant. */
const usableStage = (layer: LayerToUnpack): StagedFiles | undefined => {
  const { staged } = layer;
  if (staged === undefined) return undefined;
  if (layer.digest !== layer.diffId) throw wrongSum(layer);
  if (!("failure" in staged)) return staged;
  throw new NaruError(staged.failure.code, `layer "${layer.diffId}": ${staged.failure.message}`);
};

const unpackOne = async (
  context: UnpackContext,
  layer: LayerToUnpack,
  parent: Digest | undefined,
  chainId: Digest,
  below: Promise<void> | undefined,
): Promise<void> => {
  const { dependencies, signal, undo, lease } = context;
  const { layers } = dependencies;
  lease.add({ kind: "layer", resource: chainId });
  if (layers.layer(chainId) !== undefined) return;
  undo.defer(() => discardLayer(dependencies, chainId));
  const { diffId, path } = layer;
  const staged = usableStage(layer);
  if (staged === undefined) {
    const wait = below === undefined ? {} : { below };
    await layers.unpack({ parent, ...wait, source: { path }, diffId, signal });
    return;
  }
  await below;
  signal.throwIfAborted();
  layers.adopt({ ...staged, parent, diffId });
};

/**
 * Unpacks the layers of all images, side by side where they do not stand on each other. Throws the
 * first failure, after the rest has stopped.
 */
export const unpackLayers = async (
  context: UnpackContext,
  images: readonly (readonly LayerToUnpack[])[],
): Promise<void> => {
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const started = new Map<Digest, Promise<void>>();
  const taken = new Set<string>();
  for (const layers of images) {
    const chain = chainIds(layers.map((layer) => layer.diffId));
    layers.forEach((layer, index) => {
      const chainId = chain[index];
      if (chainId === undefined || started.has(chainId)) return;
      // A directory can be adopted once: the same content at a second place is unpacked from its blob.
      const { staged, ...rest } = layer;
      const isFirst = !taken.has(layer.path);
      taken.add(layer.path);
      const own = isFirst && staged !== undefined ? { ...rest, staged } : rest;
      const parent = chain[index - 1];
      const below = parent === undefined ? undefined : started.get(parent);
      const running = unpackOne({ ...context, signal }, own, parent, chainId, below);
      started.set(chainId, running);
      running.catch((error: unknown) => stop.abort(error));
    });
  }
  const results = await Promise.allSettled(started.values());
  context.signal.throwIfAborted();
  // The first one stopped the others: its error is the reason, theirs is only that they were stopped.
  if (stop.signal.aborted) throw stop.signal.reason;
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
};
