/** What refers to an image at its registry (signatures, SBOMs, attestations), for pulls that are asked to bring it along. */
import { ATTESTATION, REFERENCE_DIGEST, REFERENCE_TYPE } from "#image/indexes.ts";
import type { RemoteKept } from "#image/pull-manifest.ts";
import { NaruError } from "#lib/errors.ts";
import type { FetchedManifest, Repository } from "#remote/remote.ts";
import type { Digest } from "#spec/image/digest.ts";
import { parseManifest } from "#spec/image/manifest.ts";
import { familiarString } from "#spec/image/reference.ts";

/** Whoever may push can attach as much as they like. */
const COUNT_MAX = 256;

/** What is pulled anyway. */
export interface Pulled {
  readonly digest: Digest;
  readonly indexes: readonly FetchedManifest[];
  readonly images: readonly { readonly fetched: FetchedManifest }[];
  readonly kept: readonly RemoteKept[];
}

/** BuildKit lists attestations beside the image that they speak of. */
const attestationsOf = ({ indexes, images }: Pulled): Digest[] => {
  const subjects = new Set<string>(images.map(({ fetched }) => fetched.descriptor.digest));
  return indexes.flatMap(({ text, descriptor }) => {
    const index = parseManifest(text, descriptor.mediaType);
    if (index.kind !== "index") return [];
    return index.manifests
      .filter(({ annotations = {} }) => annotations[REFERENCE_TYPE] === ATTESTATION)
      .filter(({ annotations = {} }) => subjects.has(annotations[REFERENCE_DIGEST] ?? ""))
      .map(({ digest }) => digest);
  });
};

/** All that refers to what is pulled, and to that in turn; each once. An index that refers is not kept, and is told by `onSkipped`. */
export const findReferrers = async (
  repository: Repository,
  pulled: Pulled,
  onSkipped: (digest: Digest) => void,
  signal: AbortSignal,
): Promise<RemoteKept[]> => {
  const manifests = [
    ...pulled.indexes,
    ...[...pulled.images, ...pulled.kept].map((one) => one.fetched),
  ];
  const subjects = [pulled.digest, ...manifests.map(({ descriptor }) => descriptor.digest)];
  const seen = new Set<Digest>(subjects);
  const found: RemoteKept[] = [];
  const take = async (digest: Digest): Promise<void> => {
    if (seen.has(digest)) return;
    seen.add(digest);
    if (found.length >= COUNT_MAX) {
      throw new NaruError(
        "resource_exhausted",
        `more than ${COUNT_MAX} manifests refer to "${familiarString(repository.reference)}": pull it without them (no --referrers)`,
      );
    }
    const fetched = await repository.manifest(digest, signal);
    const manifest = parseManifest(fetched.text, fetched.descriptor.mediaType);
    if (manifest.kind === "index") return onSkipped(digest);
    found.push({ fetched, manifest });
    subjects.push(digest);
  };
  for (const digest of attestationsOf(pulled)) await take(digest);
  for (let subject = subjects.pop(); subject !== undefined; subject = subjects.pop()) {
    for (const { digest } of await repository.referrers(subject, signal)) await take(digest);
  }
  return found;
};
