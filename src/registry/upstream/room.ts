/**
 * Room under the quotas of a mirror, for what it fetches and for what is pushed: blobs of mirrored repositories that were
 * used longest ago go, and are fetched again when somebody asks. Their manifests and tags stay. What was pushed is never
 * touched.
 */
import type { LocalDependencies } from "#registry/local.ts";
import type { Shortage } from "#registry/quota.ts";

const PAGE = 500;
/** More goes than must, so that not every blob that comes has to look for another one. */
const SPARE = 0.1;
/** Who was told of a blob just now is about to read it. */
const IN_USE_MS = 60_000;

type RoomDependencies = Pick<
  LocalDependencies,
  "rows" | "storage" | "commits" | "sightings" | "log"
>;

/** For `Quotas.evictWith`: the bytes that the rule counts less afterwards. */
export const makeRoom = (
  deps: RoomDependencies,
  { rule, usedBytes, addedBytes, glob }: Shortage,
  isMirrored: (repository: string) => boolean,
): number => {
  const { rows, storage, commits, sightings } = deps;
  const wanted = usedBytes + addedBytes - rule.maxBytes + rule.maxBytes * SPARE;
  let [freed, count] = [0, 0];
  for (let passed = 0; freed < wanted;) {
    const page = rows.blobs.oldest(glob, passed, PAGE);
    for (const { repositoryId, repository, digest, sizeBytes } of page) {
      const isFree = isMirrored(repository) && !commits.isHeld(digest);
      if (freed >= wanted || !isFree || sightings.isRecent(repository, digest, IN_USE_MS)) {
        passed += 1;
        continue;
      }
      rows.blobs.unlink(repositoryId, digest);
      count += 1;
      if (!rows.blobs.isHeld(digest, glob)) freed += sizeBytes;
      if (!rows.blobs.isHeld(digest)) storage.delete(digest);
    }
    if (page.length < PAGE) break;
  }
  if (count > 0) {
    deps.log.info("made room in a mirror", {
      repositories: rule.repositories,
      blobs: count,
      freedBytes: freed,
    });
  }
  return freed;
};
