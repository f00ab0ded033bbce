/** The layers of one image: fetched side by side, shared with other pulls, adopted from the lowest up. */
import { existsSync, linkSync } from "node:fs";
import { join } from "node:path";
import { discardLayer } from "#image/collect.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import type { FetchPool } from "#image/fetch-pool.ts";
import type { PullResult, RegistryAccess, TransferLine } from "#image/fetch-protocol.ts";
import type { TransferEvent } from "#image/transfer.ts";
import type { StagedFiles } from "#image/layer-stage.ts";
import type { Ingest } from "#content/content.ts";
import type { Lease } from "#metadata/leases.ts";
import { failpoint } from "#lib/failpoint.ts";
import { type SharedJob, type SharedWork, type Work } from "#lib/shared-work.ts";
import { chainIds } from "#spec/image/chain-id.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import { type Digest, hexOf, shortId } from "#spec/image/digest.ts";

export type FetchEvent = Extract<TransferLine, { kind: "progress" | "verified" }>;

/** A blob that arrived, and what was unpacked of it on the way. */
export interface FetchedLayer {
  readonly ingest: Ingest;
  /** One image can have it; the others unpack the blob. */
  staged: StagedFiles | undefined;
  /** The whole blob, until somebody commits it. */
  readonly partial: string;
  /** False: nobody wanted it for the store, it goes when all have let go. */
  isKept: boolean;
}

export type LayerFlights = SharedWork<FetchedLayer, FetchEvent>;

export interface PullLayer {
  readonly blob: Descriptor;
  readonly diffId: Digest;
  readonly chainId: Digest;
  readonly parent: Digest | undefined;
}

export interface LayerPull {
  readonly dependencies: ImageDependencies;
  readonly pool: FetchPool;
  readonly flights: LayerFlights;
  readonly access: RegistryAccess;
  readonly signal: AbortSignal;
  readonly onEvent: (event: TransferEvent) => void;
  /** Removes the new layers again. To be disposed of after `lease`. */
  readonly undo: AsyncDisposableStack;
  readonly lease: Lease;
  /** Lets go of what was fetched, after blobs and rows are there. */
  readonly held: AsyncDisposableStack;
  /** Blobs whose digest was found right by this pull: only these may leave the partials. */
  readonly verified: Set<Digest>;
}

export const pairLayers = (
  blobs: readonly Descriptor[],
  diffIds: readonly Digest[],
): readonly PullLayer[] => {
  const chain = chainIds(diffIds);
  return blobs.flatMap((blob, index) => {
    const diffId = diffIds[index];
    const chainId = chain[index];
    if (diffId === undefined || chainId === undefined) return [];
    return [{ blob, diffId, chainId, parent: chain[index - 1] }];
  });
};

const PHASES: Readonly<Record<Extract<FetchEvent, { kind: "progress" }>["phase"], string>> = {
  download: "Downloading",
  extract: "Extracting",
  upload: "Pushing",
};

const tell = (pull: LayerPull, id: string, event: FetchEvent): void => {
  if (event.kind === "verified") {
    pull.onEvent({ status: "Verifying Checksum", id });
    pull.onEvent({ status: "Download complete", id });
    return;
  }
  const { current, total } = event;
  pull.onEvent({ status: PHASES[event.phase], id, current, total });
};

/** The work of one flight: whoever joins first starts it, for all. */
const fetchWork =
  (
    { dependencies, pool, access }: LayerPull,
    { blob, diffId }: PullLayer,
  ): Work<FetchedLayer, FetchEvent> =>
  async (signal, onEvent) => {
    const { content } = dependencies;
    const ingest = content.openIngest();
    const partial = content.partialPath(blob.digest);
    try {
      const result: PullResult = await pool.run(
        {
          ...access,
          kind: "pull",
          blob,
          partial,
          stage: {
            directory: join(ingest.directory, "layer"),
            form: dependencies.layers.newLayers().form,
            diffId,
          },
        },
        { signal, onEvent },
      );
      return { ingest, staged: result.staged, partial, isKept: true };
    } catch (error) {
      await ingest[Symbol.asyncDispose]();
      throw error;
    }
  };

/** Where the whole blob is; a file of another size under its name is not it, and is replaced by what is fetched. */
const storedPath = (
  { dependencies: { content } }: LayerPull,
  { blob }: PullLayer,
): string | undefined => {
  const info = content.info(blob.digest);
  return info?.sizeBytes === blob.size ? info.path : undefined;
};

type Joined = SharedJob<FetchedLayer, FetchEvent>;

const begin = (pull: LayerPull, layer: PullLayer): Joined | undefined => {
  const { dependencies, lease, onEvent, held } = pull;
  const id = shortId(layer.blob.digest);
  lease.add(
    { kind: "layer", resource: layer.chainId },
    { kind: "blob", resource: layer.blob.digest },
  );
  if (dependencies.layers.layer(layer.chainId) !== undefined) {
    onEvent({ status: "Already exists", id });
    return undefined;
  }
  onEvent({ status: "Pulling fs layer", id });
  // The content is here, perhaps on top of other layers: nothing has to be fetched.
  if (storedPath(pull, layer) !== undefined) return undefined;
  const job = pull.flights.join(layer.blob.digest, fetchWork(pull, layer), pull.signal);
  held.use(job);
  job.result.catch(() => undefined); // Awaited in order, below.
  job.follow((event) => tell(pull, id, event));
  return job;
};

/** A partial by a name of this pull's own: another pull may give it its place in the store before it is read here. */
const ownPath = (partial: string, chainId: Digest, fetched: FetchedLayer | undefined): string => {
  if (fetched === undefined) return partial;
  const own = join(fetched.ingest.directory, hexOf(chainId));
  if (!existsSync(own)) linkSync(partial, own);
  return own;
};

const adopt = async (pull: LayerPull, layer: PullLayer, job: Joined | undefined): Promise<void> => {
  const { dependencies, undo, signal } = pull;
  const { content, layers } = dependencies;
  const { blob, chainId, diffId, parent } = layer;
  const fetched = await job?.result;
  signal.throwIfAborted();
  if (fetched !== undefined) {
    fetched.isKept = true;
    pull.verified.add(blob.digest);
  }
  if (layers.layer(chainId) !== undefined) return;
  undo.defer(() => discardLayer(dependencies, chainId));
  const staged = fetched?.staged;
  if (fetched !== undefined && staged !== undefined) {
    fetched.staged = undefined;
    layers.adopt({ ...staged, parent, diffId });
    return;
  }
  const path =
    storedPath(pull, layer) ?? ownPath(content.partialPath(blob.digest), chainId, fetched);
  await layers.unpack({ parent, source: { path }, diffId, signal });
};

/** All layers are unpacked afterwards, and their blobs in content or (whole, verified) its partials. */
export const pullLayers = async (given: LayerPull, layers: readonly PullLayer[]): Promise<void> => {
  const stop = new AbortController();
  const pull = { ...given, signal: AbortSignal.any([given.signal, stop.signal]) };
  const begun = layers.map((layer) => ({ layer, job: begin(pull, layer) }));
  // The first failure of any layer ends the pull, not the first in order.
  for (const { job } of begun) job?.result.catch((error: unknown) => stop.abort(error));
  for (const { layer, job } of begun) {
    const wasThere = pull.dependencies.layers.layer(layer.chainId) !== undefined;
    failpoint("pull.before-layer");
    await adopt(pull, layer, job);
    if (job !== undefined) failpoint("pull.mid-layer"); // with a layer that was fetched and is whole now
    if (job !== undefined || !wasThere) {
      pull.onEvent({ status: "Pull complete", id: shortId(layer.blob.digest) });
    }
  }
};
