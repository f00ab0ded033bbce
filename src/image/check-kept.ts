/** What is kept as it came (artifacts, attestations, what refers to images): whether its blobs are all here. See check.ts. */
import { familiarRow } from "#image/catalog.ts";
import type { Check } from "#image/check.ts";
import type { CheckEvent } from "#image/image.ts";
import { ATTESTATION, REFERENCE_TYPE } from "#image/indexes.ts";
import { blobsOfKept } from "#image/manifests.ts";
import { toNaruError } from "#lib/errors.ts";
import type { ReferenceRow } from "#metadata/images.ts";
import { platformOf } from "#spec/image/config.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import type { Digest } from "#spec/image/digest.ts";
import { isUrlLayer } from "#spec/image/media-type.ts";

const DEPTH_MAX = 16;

const missingOf = ({ catalog, dependencies }: Check, digest: Digest): readonly Descriptor[] =>
  blobsOfKept(dependencies, catalog, digest).filter(
    (blob) => !isUrlLayer(blob) && dependencies.content.info(blob.digest) === undefined,
  );

/** What it speaks of in the end; itself where it speaks of nothing. */
const rootOf = ({ catalog }: Check, digest: Digest): Digest => {
  let at = digest;
  for (let depth = 0; depth < DEPTH_MAX; depth += 1) {
    const subject = catalog.indexes.subjectOf(at);
    if (subject === undefined) break;
    at = subject;
  }
  return at;
};

/** Tags of the images and indexes that it came with. */
const namesOf = ({ catalog, dependencies }: Check, root: Digest): readonly ReferenceRow[] =>
  dependencies.rows.references().filter(({ imageId, tag, target }) => {
    if (tag === undefined) return false;
    const own = [imageId, target, dependencies.rows.get(imageId)?.manifestDigest];
    const listed = target === undefined ? [] : catalog.indexes.members(target);
    return own.includes(root) || listed.some(({ descriptor }) => descriptor.digest === root);
  });

/** Whether a pull of one platform with its referrers brings it. */
const isReferrer = ({ catalog }: Check, digest: Digest, { target }: ReferenceRow): boolean =>
  catalog.indexes.subjectOf(digest) !== undefined ||
  (target !== undefined &&
    catalog.indexes
      .members(target)
      .some(
        ({ descriptor }) =>
          descriptor.digest === digest && descriptor.annotations?.[REFERENCE_TYPE] === ATTESTATION,
      ));

/** The same by the registry's digest: what the tag stands for there by now may be another image. */
const pinnedOf = ({ dependencies }: Check, name: ReferenceRow): ReferenceRow | undefined =>
  dependencies.rows
    .references()
    .find(
      ({ repository, digest, imageId, target }) =>
        digest !== undefined &&
        repository === name.repository &&
        imageId === name.imageId &&
        target === name.target,
    );

/** From the registry it came from. undefined when that worked. */
const fetchAgain = async (check: Check, digest: Digest): Promise<string | undefined> => {
  const { pull } = check.options;
  if (pull === undefined) return "it cannot be fetched again here";
  let reason = "it did not come from a registry";
  for (const name of namesOf(check, rootOf(check, digest))) {
    const pinned = pinnedOf(check, name);
    if (pinned === undefined) continue;
    const row = check.dependencies.rows.get(name.imageId);
    const isAttached = isReferrer(check, digest, name);
    const platform = isAttached && row !== undefined ? platformOf(row.config) : undefined;
    try {
      // oxlint-disable-next-line no-await-in-loop -- the second name is for when the first fails
      await pull(familiarRow(pinned), name.target === undefined ? undefined : platform, {
        hasReferrers: true,
        isAllPlatforms: name.target !== undefined && !isAttached,
      });
      if (missingOf(check, digest).length === 0) return undefined;
      reason = "its registry does not have it any more";
    } catch (error) {
      reason = toNaruError(error).message;
    }
  }
  return reason;
};

export async function* checkKept(check: Check): AsyncGenerator<CheckEvent> {
  const { catalog, dependencies, options } = check;
  for (const digest of dependencies.rows.manifests.digests()) {
    options.signal?.throwIfAborted();
    const missing = missingOf(check, digest);
    if (missing.length === 0) continue;
    const [name] = namesOf(check, rootOf(check, digest)).map(familiarRow);
    const what = rootOf(check, digest) === digest ? "" : `what refers to it (${digest}): `;
    const { length } = blobsOfKept(dependencies, catalog, digest);
    const problem = `${what}${missing.length} of ${length} blobs are gone`;
    // oxlint-disable-next-line no-await-in-loop -- one download at a time
    const reason = options.repairs ? await fetchAgain(check, digest) : undefined;
    const isRepaired = options.repairs && reason === undefined;
    yield {
      kind: "problem",
      subject: "image",
      id: name ?? digest,
      problem: reason === undefined ? problem : `${problem}: ${reason}`,
      outcome: isRepaired ? "repaired" : "left",
    };
  }
}
