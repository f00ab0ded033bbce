/** Blobs that nothing speaks of: of a kill between a blob and its row, of a manifest that another one replaced. */
import { statSync } from "node:fs";
import type { Catalog } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import { keptNeeds } from "#image/kept.ts";
import { keptBlobs } from "#image/manifests.ts";
import { nowNs } from "#lib/clock.ts";
import type { Digest } from "#spec/image/digest.ts";

/** What is under way writes its row in the turn of its blob, or soon after: younger ones are left alone. */
const UNDER_WAY_MS = 3_600_000;

const spokenOf = (dependencies: ImageDependencies, catalog: Catalog): Set<Digest> => {
  const { rows } = dependencies;
  const images = [...rows.list(), ...keptNeeds(dependencies)];
  return new Set([
    ...images.flatMap(({ manifestDigest }) => manifestDigest ?? []),
    ...rows.layers().flatMap((diffId) => rows.layerBlobs(diffId).map(({ digest }) => digest)),
    ...rows.manifests.digests(),
    ...keptBlobs(dependencies, catalog),
  ]);
};

/** Returns the bytes that became free. */
export const sweepBlobs = (
  dependencies: ImageDependencies,
  catalog: Catalog,
  ageMs = UNDER_WAY_MS,
): number => {
  const { content, leases } = dependencies;
  const needed = spokenOf(dependencies, catalog);
  const youngest = Number(nowNs() / 1_000_000n) - ageMs;
  let freed = 0;
  for (const { digest, path, sizeBytes } of content.walk()) {
    if (needed.has(digest) || leases.isHeld("blob", digest)) continue;
    // The time of its rename into place: whoever wrote it may have taken long.
    const changedMs = statSync(path, { throwIfNoEntry: false })?.ctimeMs ?? Infinity;
    if (changedMs > youngest) continue;
    content.delete(digest);
    freed += sizeBytes;
  }
  return freed;
};
