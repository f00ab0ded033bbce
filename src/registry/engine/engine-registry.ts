/**
 * The engine's own images as a registry to pull from, so that one machine can have another's images without a
 * push. Nothing is stored for it: manifests are made of what the content store has, and remembered.
 *
 * Names: "alpine" is "alpine" and "library/alpine"; "ghcr.io/a/b" keeps its host, a port's ":" becomes "_". As a
 * mirror (`ns`) it is asked for "a/b" of "ghcr.io".
 */
import { NaruError, hasCode } from "#lib/errors.ts";
import { SingleFlight } from "#lib/single-flight.ts";
import type { Images, ServedImage } from "#image/image.ts";
import type { Blob, Manifest, Page, PageQuery, Registry } from "#registry/registry.ts";
import { distributionError } from "#spec/distribution/errors.ts";
import { parseManifestReference, parseRepositoryName } from "#spec/distribution/name.ts";
import type { Digest } from "#spec/image/digest.ts";
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

type EngineImages = Pick<Images, "list" | "served" | "find">;

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

  /** All images of a repository, those made already first. */
  async *images(name: string): AsyncGenerator<ServedImage, void> {
    const ids = [...new Set(this.of(name).map(({ imageId }) => imageId))];
    const isKnown = (id: Digest): number => (this.#served.has(id) ? 0 : 1);
    for (const id of ids.toSorted((a, b) => isKnown(a) - isKnown(b))) yield await this.served(id);
  }
}

const findManifest = async (
  shelf: Shelf,
  repository: string,
  reference: string,
): Promise<Manifest> => {
  const parsed = parseManifestReference(reference);
  if (parsed.kind === "tag") {
    const found = shelf.of(repository).find(({ tag }) => tag === parsed.tag);
    if (found !== undefined) return shelf.manifestOf(await shelf.served(found.imageId));
  } else {
    for await (const image of shelf.images(repository)) {
      if (image.manifest.digest === parsed.digest) return shelf.manifestOf(image);
    }
  }
  throw distributionError("MANIFEST_UNKNOWN", `"${repository}" has no manifest "${reference}"`);
};

const findBlob = async (shelf: Shelf, repository: string, digest: string): Promise<Blob> => {
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
    referrers: () => ({ items: [], next: undefined }),
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
