/** Blobs that are kept as they come: of attestations, artifacts, images for other operating systems. */
import type { ImageDependencies } from "#image/dependencies.ts";
import type { FetchedLayer } from "#image/pull-layers.ts";
import type { FetchEvent, LayerPull } from "#image/pull-layers.ts";
import type { Work } from "#lib/shared-work.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import { type Digest, shortId } from "#spec/image/digest.ts";

type BlobPull = Omit<LayerPull, "undo">;

const fetchWork =
  ({ dependencies, pool, access }: BlobPull, blob: Descriptor): Work<FetchedLayer, FetchEvent> =>
  async (signal, onEvent) => {
    const { content } = dependencies;
    const partial = content.partialPath(blob.digest);
    await pool.run({ ...access, kind: "pull", blob, partial }, { signal, onEvent });
    return { ingest: content.openIngest(), staged: undefined, partial, isKept: false };
  };

/**
 * Side by side; each is in content or, whole and verified, among its partials afterwards. `isKept`: they are for the store;
 * else they go when `held` lets go.
 */
export const pullBlobs = async (
  given: BlobPull,
  descriptors: readonly Descriptor[],
  isKept = true,
): Promise<void> => {
  const stop = new AbortController();
  const signal = AbortSignal.any([given.signal, stop.signal]);
  const pull = { ...given, signal };
  const blobs = new Map(descriptors.map((blob) => [blob.digest, blob]));
  const jobs = [...blobs.values()].map(async (blob) => {
    const id = shortId(blob.digest);
    pull.lease.add({ kind: "blob", resource: blob.digest });
    if (pull.dependencies.content.info(blob.digest) !== undefined) {
      return pull.onEvent({ status: "Already exists", id });
    }
    const job = pull.flights.join(blob.digest, fetchWork(pull, blob), signal);
    pull.held.use(job);
    job.follow((event) => {
      if (event.kind !== "progress") return;
      pull.onEvent({ status: "Downloading", id, current: event.current, total: event.total });
    });
    const fetched = await job.result;
    signal.throwIfAborted();
    fetched.isKept ||= isKept;
    pull.verified.add(blob.digest);
    pull.onEvent({ status: "Download complete", id });
  });
  for (const job of jobs) job.catch((error: unknown) => stop.abort(error));
  await Promise.allSettled(jobs);
  given.signal.throwIfAborted();
  if (stop.signal.aborted) throw stop.signal.reason;
};

/** What arrived whole and verified, and was not there. The same blob twice is one. */
export const commitPartials = (
  content: ImageDependencies["content"],
  blobs: readonly Descriptor[],
  verified: ReadonlySet<Digest>,
): void => {
  const sizes = new Map(blobs.map(({ digest, size }) => [digest, size]));
  content.commitPartials(
    [...sizes]
      .filter(([digest, size]) => verified.has(digest) && content.info(digest)?.sizeBytes !== size)
      .filter(([digest, size]) => Bun.file(content.partialPath(digest)).size === size)
      .map(([digest, sizeBytes]) => ({ digest, sizeBytes })),
  );
};
