/** What refers to an image at its registry (signatures, SBOMs, attestations), for pulls that are asked to bring it along. */
import { ATTESTATION, REFERENCE_DIGEST, REFERENCE_TYPE } from "#image/indexes.ts";
import type { RemoteKept, RemoteReferrer } from "#image/pull-manifest.ts";
import { NaruError } from "#lib/errors.ts";
import type { FetchedManifest, Repository } from "#remote/remote.ts";
import type { Digest } from "#spec/image/digest.ts";
import { attachedTags } from "#spec/distribution/name.ts";
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

class Search {
  readonly #repository: Repository;
  readonly #signal: AbortSignal;
  readonly #seen: Set<string>;
  readonly subjects: Digest[];
  readonly found: RemoteReferrer[] = [];

  constructor(repository: Repository, subjects: readonly Digest[], signal: AbortSignal) {
    this.#repository = repository;
    this.#signal = signal;
    this.#seen = new Set(subjects);
    this.subjects = [...subjects];
  }

  /** An index with all that it lists. `tag`: what it is attached by. */
  async take(reference: string, tag?: string): Promise<void> {
    if (this.#seen.has(reference)) return;
    const fetched = await this.#repository.manifest(reference, this.#signal);
    const { digest } = fetched.descriptor;
    if (this.#seen.has(digest)) return;
    this.#seen.add(digest);
    if (this.found.length >= COUNT_MAX) {
      throw new NaruError(
        "resource_exhausted",
        `more than ${COUNT_MAX} manifests refer to "${familiarString(this.#repository.reference)}": pull it without them (no --referrers)`,
      );
    }
    const manifest = parseManifest(fetched.text, fetched.descriptor.mediaType);
    this.found.push({ fetched, manifest, ...(tag === undefined ? {} : { tag }) });
    this.subjects.push(digest);
    if (manifest.kind !== "index") return;
    for (const child of manifest.manifests) await this.take(child.digest);
  }

  async referring(subject: Digest): Promise<void> {
    for (const { digest } of await this.#repository.referrers(subject, this.#signal)) {
      await this.take(digest);
    }
    const tags = attachedTags(subject);
    const heads = await Promise.all(tags.map((tag) => this.#repository.resolve(tag, this.#signal)));
    for (const [at, tag] of tags.entries()) if (heads[at] !== undefined) await this.take(tag, tag);
  }
}

/**
 * All that refers to what is pulled, by its subject or by a tag ("sha256-….sig"), and to that in turn; each once. What an
 * index lists that refers comes along with it.
 */
export const findReferrers = async (
  repository: Repository,
  pulled: Pulled,
  signal: AbortSignal,
): Promise<readonly RemoteReferrer[]> => {
  const manifests = [
    ...pulled.indexes,
    ...[...pulled.images, ...pulled.kept].map((one) => one.fetched),
  ];
  const subjects = [pulled.digest, ...manifests.map(({ descriptor }) => descriptor.digest)];
  const search = new Search(repository, [...new Set(subjects)], signal);
  for (const digest of attestationsOf(pulled)) await search.take(digest);
  for (let subject = search.subjects.pop(); subject !== undefined;) {
    await search.referring(subject);
    subject = search.subjects.pop();
  }
  return search.found;
};
