/**
 * Collection of what nobody needs any more, while clients push and pull. Each blob is judged and removed in one
 * turn of the thread: needed by a manifest, linked or shown to a client within the grace time, or about to be
 * linked → it stays.
 * Between batches other work gets its turn.
 */
import { formatInstant, nowNs } from "#lib/clock.ts";
import type { LocalDependencies } from "#registry/local.ts";

export interface CollectOptions {
  readonly isDryRun: boolean;
  /** Manifests that no tag, index or image refers to go as well. */
  readonly removesUntagged: boolean;
  /** Instead of the limits' own. */
  readonly graceMs?: number;
}

export interface CollectReport {
  readonly manifests: readonly { readonly repository: string; readonly digest: string }[];
  readonly blobs: readonly { readonly repository: string; readonly digest: string }[];
  /** Bytes that the disk got back (or would). */
  readonly freedBytes: number;
  readonly repositories: readonly string[];
  /** Files that no row spoke of: left by a crash. */
  readonly strayFiles: number;
  /** Nothing was looked at but strays: clients may have been told of things before this registry started. */
  readonly isTooEarly: boolean;
}

const BATCH = 50;
/** A stray file younger than this may belong to a commit under way. */
const STRAY_AGE_MS = 3_600_000;

const breathe = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

interface Findings {
  readonly manifests: { repository: string; digest: string }[];
  readonly blobs: { repository: string; digest: string }[];
  freedBytes: number;
  strayFiles: number;
}

type Pass = (deps: LocalDependencies, options: CollectOptions, found: Findings) => Promise<void>;

const cutoffOf = (graceMs: number): string =>
  formatInstant(nowNs() - BigInt(Math.trunc(graceMs)) * 1_000_000n);

/** An index's manifests become loose when it goes: until a round finds none. */
const collectManifests: Pass = async (deps, options, found) => {
  const { rows, cache, limits, sightings } = deps;
  const graceMs = options.graceMs ?? limits.graceMs;
  const cutoff = cutoffOf(graceMs);
  let skipped = 0;
  let removed = 0;
  for (;;) {
    const loose = rows.manifests.loose(cutoff, skipped, BATCH);
    for (const { repositoryId, repository, digest } of loose) {
      const isSeen = sightings.isRecent(repository, digest, graceMs);
      if (isSeen || options.isDryRun) skipped += 1;
      if (isSeen) continue;
      found.manifests.push({ repository, digest });
      if (options.isDryRun) continue;
      rows.transaction(() => rows.manifests.remove(repositoryId, digest));
      cache.drop(repository, digest);
      removed += 1;
    }
    if (loose.length < BATCH) {
      if (removed === 0) return;
      [skipped, removed] = [0, 0];
    }
    await breathe();
  }
};

const collectBlobs: Pass = async (deps, options, found) => {
  const { rows, storage, sightings, limits, commits } = deps;
  const graceMs = options.graceMs ?? limits.graceMs;
  const cutoff = cutoffOf(graceMs);
  let after = { repositoryId: -1, digest: "" };
  for (;;) {
    const loose = rows.blobs.loose(cutoff, after, BATCH);
    // No await until all of the batch is judged: what was loose in the query is loose now.
    for (const { repositoryId, repository, digest, sizeBytes } of loose) {
      after = { repositoryId, digest };
      if (sightings.isRecent(repository, digest, graceMs)) continue;
      found.blobs.push({ repository, digest });
      if (options.isDryRun) {
        if (rows.blobs.holders(digest, 2).length === 1) found.freedBytes += sizeBytes;
        continue;
      }
      rows.blobs.unlink(repositoryId, digest);
      if (rows.blobs.isHeld(digest) || commits.isHeld(digest)) continue;
      storage.delete(digest);
      found.freedBytes += sizeBytes;
    }
    if (loose.length < BATCH) return;
    await breathe();
  }
};

const collectStrays: Pass = async ({ rows, storage, commits }, options, found) => {
  let seen = 0;
  for await (const { digest, sizeBytes, changedAtMs } of storage.walk()) {
    seen += 1;
    if (seen % BATCH === 0) await breathe();
    if (rows.blobs.isHeld(digest) || commits.isHeld(digest)) continue;
    const ageMs = Number(nowNs() / 1_000_000n) - changedAtMs;
    // Of an unknown age: it stays.
    if (!(ageMs >= STRAY_AGE_MS)) continue;
    found.strayFiles += 1;
    found.freedBytes += sizeBytes;
    if (!options.isDryRun) storage.delete(digest);
  }
};

/** One after the other; see registry.ts. */
export const collect = async (
  deps: LocalDependencies,
  options: CollectOptions,
): Promise<CollectReport> => {
  const found: Findings = { manifests: [], blobs: [], freedBytes: 0, strayFiles: 0 };
  const isTooEarly = deps.sightings.isBlind(options.graceMs ?? deps.limits.graceMs);
  if (!isTooEarly) {
    if (options.removesUntagged) await collectManifests(deps, options, found);
    await collectBlobs(deps, options, found);
  }
  await collectStrays(deps, options, found);
  const graceMs = options.graceMs ?? deps.limits.graceMs;
  const repositories = options.isDryRun
    ? []
    : deps.rows.repositories.removeEmpty(cutoffOf(graceMs));
  return { ...found, repositories, isTooEarly };
};
