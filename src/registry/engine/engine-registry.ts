/**
 * The engine's own images as a registry to pull from, so that one machine can have another's images without a
 * push. Nothing is stored for it: manifests are made of what the content store has, and remembered.
 *
 * Names: "alpine" is "alpine" and "library/alpine"; "ghcr.io/a/b" keeps its host, a port's ":" becomes "_". As a
 * mirror (`ns`) it is asked for "a/b" of "ghcr.io".
 */
import { NaruError, hasCode } from "#lib/errors.ts";
import { SingleFlight } from "#lib/single-flight.ts";
import type { ServedIndex, StoredManifest } from "#image/index-document.ts";
import type { Images, ServedImage } from "#image/image.ts";
import type { ReferrerRow } from "#metadata/registry/manifests.ts";
import type {
  Blob,
  Manifest,
  Page,
  PageQuery,
  ReferrersQuery,
  Registry,
} from "#registry/registry.ts";
import { distributionError } from "#spec/distribution/errors.ts";
import {
  subjectOfTag,
  parseManifestReference,
  parseRepositoryName,
} from "#spec/distribution/name.ts";
import type { Digest } from "#spec/image/digest.ts";
import { parseManifest } from "#spec/image/manifest.ts";
import { type Reference, parseReference } from "#spec/image/reference.ts";

const PAGE_LIMIT = 1000;
const REMEMBERED = 256;
const MAKE_TIMEOUT_MS = 600_000;
const DEFAULT_DOMAIN = "docker.io";
const OFFICIAL = "library/";

/** "library/alpine" is "alpine"; "library/a/b" is itself. */
const shortPath = (path: string): string => {
  const rest = path.startsWith(OFFICIAL) ? path.slice(OFFICIAL.length) : "/";
  return rest.includes("/") ? path : rest;
};

const servedName = ({ domain, path }: Reference): string =>
  domain === DEFAULT_DOMAIN ? shortPath(path) : `${domain.replace(":", "_").toLowerCase()}/${path}`;

/** One spelling of what clients ask for. */
const plainName = (name: string): string =>
  shortPath(name.startsWith(`${DEFAULT_DOMAIN}/`) ? name.slice(DEFAULT_DOMAIN.length + 1) : name);

interface Tagged {
  readonly repository: string;
  readonly tag: string;
  readonly imageId: Digest;
  /** As the engine knows it. */
  readonly name: string;
}

const readOnly = () =>
  distributionError(
    "UNSUPPORTED",
    "this is an engine's image store, which is changed through the engine alone",
  );

const refuse = (): never => {
  throw readOnly();
};

const page = (items: readonly string[], { last = "", limit }: PageQuery): Page<string> => {
  const size = Math.min(limit ?? PAGE_LIMIT, PAGE_LIMIT);
  const rest = [...new Set(items)].toSorted().filter((item) => item > last);
  const shown = rest.slice(0, size);
  return { items: shown, next: size > 0 && rest.length > size ? shown.at(-1) : undefined };
};

type EngineImages = Pick<Images, "list" | "served" | "servedIndex" | "find">;

class Shelf {
  readonly #images: EngineImages;
  readonly #making = new SingleFlight<ServedImage>();
  /** By image id, in order of use. */
  readonly #served = new Map<Digest, ServedImage>();
  readonly #manifests = new WeakMap<ServedImage, Manifest>();

  constructor(images: EngineImages) {
    this.#images = images;
  }

  tagged(): Tagged[] {
    return this.#images.list({ isAll: false, filters: new Map() }).flatMap(({ Id, RepoTags }) =>
      RepoTags.map((name) => {
        const reference = parseReference(name);
        return {
          repository: servedName(reference),
          tag: reference.tag ?? "",
          imageId: Id as Digest,
          name,
        };
      }),
    );
  }

  /** Those of one repository. Throws NAME_UNKNOWN when there is none. */
  of(name: string): Tagged[] {
    const repository = plainName(parseRepositoryName(name));
    const found = this.tagged().filter((item) => item.repository === repository);
    if (found.length > 0) return found;
    throw distributionError("NAME_UNKNOWN", `this engine has no image "${repository}"`);
  }

  /** Only looked up: it is cheap beside what is asked for. */
  index({ name }: Tagged): Promise<ServedIndex> {
    return this.#images.servedIndex(name, AbortSignal.timeout(MAKE_TIMEOUT_MS));
  }

  async served(imageId: Digest): Promise<ServedImage> {
    const known = this.#served.get(imageId);
    // What was pruned meanwhile is made again, or told to be lost.
    if (known !== undefined && this.#images.find(imageId) !== undefined) return known;
    const image = await this.#making.run(imageId, () =>
      this.#images.served(imageId, AbortSignal.timeout(MAKE_TIMEOUT_MS)),
    );
    this.#served.delete(imageId);
    this.#served.set(imageId, image);
    for (const oldest of this.#served.keys()) {
      if (this.#served.size <= REMEMBERED) break;
      this.#served.delete(oldest);
    }
    return image;
  }

  manifestOf(image: ServedImage): Manifest {
    let manifest = this.#manifests.get(image);
    if (manifest === undefined) {
      manifest = image.manifest;
      this.#manifests.set(image, manifest);
    }
    return manifest;
  }

  /** All images of a repository, those made already first, then those of indexes. */
  async *images(name: string): AsyncGenerator<ServedImage, void> {
    const all = this.of(name);
    const ids = [...new Set(all.map(({ imageId }) => imageId))];
    const isKnown = (id: Digest): number => (this.#served.has(id) ? 0 : 1);
    for (const id of ids.toSorted((a, b) => isKnown(a) - isKnown(b))) yield await this.served(id);
    for (const tagged of all) yield* (await this.index(tagged)).images;
  }
}

const asManifest = ({ digest, mediaType, text }: StoredManifest): Manifest => ({
  digest,
  mediaType,
  content: Buffer.from(text),
});

const findTag = async (shelf: Shelf, tagged: Tagged): Promise<Manifest> => {
  const { answer, only } = await shelf.index(tagged);
  if (answer !== undefined) return asManifest(answer);
  return shelf.manifestOf(only ?? (await shelf.served(tagged.imageId)));
};

const findManifest = async (
  shelf: Shelf,
  repository: string,
  reference: string,
): Promise<Manifest> => {
  const parsed = parseManifestReference(reference);
  const all = shelf.of(repository);
  if (parsed.kind === "tag") {
    const found = all.find(({ tag }) => tag === parsed.tag);
    if (found !== undefined) return await findTag(shelf, found);
    for (const tagged of subjectOfTag(parsed.tag) === undefined ? [] : all) {
      const { attached, documents } = await shelf.index(tagged);
      const own = attached.find(({ tag }) => tag === parsed.tag);
      const document = documents.find(({ digest }) => digest === own?.digest);
      if (document !== undefined) return asManifest(document);
    }
  } else {
    for (const tagged of all) {
      const { answer, documents } = await shelf.index(tagged);
      const document = [...(answer === undefined ? [] : [answer]), ...documents].find(
        ({ digest }) => digest === parsed.digest,
      );
      if (document !== undefined) return asManifest(document);
    }
    for await (const image of shelf.images(repository)) {
      if (image.manifest.digest === parsed.digest) return shelf.manifestOf(image);
    }
  }
  throw distributionError("MANIFEST_UNKNOWN", `"${repository}" has no manifest "${reference}"`);
};

const findBlob = async (shelf: Shelf, repository: string, digest: string): Promise<Blob> => {
  for (const tagged of shelf.of(repository)) {
    const kept = (await shelf.index(tagged)).blobs.find((blob) => blob.digest === digest);
    if (kept !== undefined) return kept;
  }
  for await (const image of shelf.images(repository)) {
    if (image.imageId === digest) {
      const content = image.config;
      return { digest: image.imageId, sizeBytes: content.length, path: "", content };
    }
    const layer = image.layers.find((item) => item.digest === digest);
    if (layer !== undefined) return layer;
  }
  throw distributionError("BLOB_UNKNOWN", `"${repository}" has no blob ${digest}`);
};

const findReferrers = async (
  shelf: Shelf,
  repository: string,
  subject: string,
  { artifactType = "", last = "", limit = PAGE_LIMIT }: ReferrersQuery,
): Promise<Page<ReferrerRow>> => {
  const rows = new Map<Digest, ReferrerRow>();
  for (const tagged of shelf.of(repository)) {
    const { documents, referrers } = await shelf.index(tagged);
    for (const { digest, mediaType, sizeBytes, text } of documents) {
      if (!referrers.includes(digest)) continue;
      const manifest = parseManifest(text, mediaType);
      if (manifest.subject?.digest !== subject) continue;
      const config = manifest.kind === "manifest" ? manifest.config.mediaType : "";
      const type = manifest.artifactType ?? config;
      if (artifactType !== "" && artifactType !== type) continue;
      const annotations = JSON.stringify(manifest.annotations);
      rows.set(digest, { digest, mediaType, artifactType: type, sizeBytes, annotations });
    }
  }
  const all = [...rows.values()].toSorted((a, b) => (a.digest < b.digest ? -1 : 1));
  const items = all.filter(({ digest }) => digest > last).slice(0, limit);
  const isMore = all.at(-1)?.digest !== items.at(-1)?.digest && items.length > 0;
  return { items, next: isMore ? items.at(-1)?.digest : undefined };
};

/** A layer whose tar is gone, or an image that was removed a moment ago. */
const asUnknown = (error: unknown): unknown =>
  hasCode(error, "not_found") &&
  error instanceof NaruError &&
  error.details["distribution"] === undefined
    ? distributionError("MANIFEST_UNKNOWN", error.message, { cause: error })
    : error;

/** Read-only: `uploads` is undefined, and what would change something throws UNSUPPORTED. */
export const createEngineRegistry = (images: EngineImages): Registry => {
  const shelf = new Shelf(images);
  const guarded = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw asUnknown(error);
    }
  };
  return {
    uploads: undefined,
    repositories: (query) =>
      page(
        shelf.tagged().map(({ repository }) => repository),
        query,
      ),
    tags: (repository, query) =>
      page(
        shelf.of(repository).map(({ tag }) => tag),
        query,
      ),
    repositoryFor: (namespace, name) => plainName(`${namespace.replace(":", "_")}/${name}`),
    manifest: (repository, reference) => guarded(findManifest(shelf, repository, reference)),
    blob: (repository, digest) => guarded(findBlob(shelf, repository, digest)),
    referrers: (repository, digest, query) =>
      guarded(findReferrers(shelf, repository, digest, query)),
    putManifest: refuse,
    mount: refuse,
    deleteManifest: refuse,
    deleteBlob: refuse,
    totals: refuse,
    collect: () => Promise.reject(readOnly()),
    retain: () => Promise.reject(readOnly()),
    close: () => Promise.resolve(),
  };
};
