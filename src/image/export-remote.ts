/** What a registry has under a name as an archive: an OCI layout that docker load takes too. Nothing of it comes into the store. */
import { ArchivePlan, blobName } from "#image/archive-plan.ts";
import { checkName } from "#image/admit.ts";
import type { ExportOptions } from "#image/transfer.ts";
import type { ExportedArchive } from "#image/archive-segment.ts";
import { pullBlobs } from "#image/pull-blobs.ts";
import { machinePlatform } from "#image/machine-platform.ts";
import type { PullParts } from "#image/pull.ts";
import { chooseManifest, explainRefusal } from "#image/pull-manifest.ts";
import { streamSegments } from "#image/segments.ts";
import { NaruError } from "#lib/errors.ts";
import type { FetchedManifest, Repository } from "#remote/remote.ts";
import { attachedTags } from "#spec/distribution/name.ts";
import { CONTAINERD_NAME, type Descriptor, REF_NAME } from "#spec/image/descriptor.ts";
import type { Digest } from "#spec/image/digest.ts";
import { type ImageManifest, parseManifest } from "#spec/image/manifest.ts";
import { OCI_INDEX, isConfigType, isUrlLayer } from "#spec/image/media-type.ts";
import { platformScore } from "#spec/image/platform.ts";
import {
  familiarString,
  formatReference,
  parseReference,
  withDefaultTag,
} from "#spec/image/reference.ts";

const DEPTH_MAX = 4;
const MANIFESTS_MAX = 10_000;

interface Found {
  readonly descriptor: Descriptor;
  readonly text: string;
  readonly manifest: ReturnType<typeof parseManifest>;
}

/** Everything below a name, by digest. */
class Collection {
  readonly #repository: Repository;
  readonly #options: ExportOptions;
  readonly documents = new Map<Digest, Found>();
  readonly referrers: Found[] = [];

  constructor(repository: Repository, options: ExportOptions) {
    this.#repository = repository;
    this.#options = options;
  }

  async top(wanted: string): Promise<Found> {
    const { platform, signal } = this.#options;
    let fetched = await this.#repository.manifest(wanted, signal);
    for (let depth = 0; platform !== undefined && depth < DEPTH_MAX; depth += 1) {
      const manifest = parseManifest(fetched.text, fetched.descriptor.mediaType);
      if (manifest.kind !== "index") break;
      fetched = await this.#repository.manifest(chooseManifest(manifest, platform).digest, signal);
    }
    return await this.add(fetched);
  }

  async add(fetched: FetchedManifest, depth = 0): Promise<Found> {
    const manifest = parseManifest(fetched.text, fetched.descriptor.mediaType);
    const { digest, size } = fetched.descriptor;
    const found = {
      descriptor: { mediaType: manifest.mediaType, digest, size },
      text: fetched.text,
      manifest,
    };
    if (this.documents.has(digest)) return found;
    if (depth > DEPTH_MAX || this.documents.size >= MANIFESTS_MAX) {
      throw new NaruError(
        "invalid_argument",
        "the image's indexes point at indexes without an end",
      );
    }
    this.documents.set(digest, found);
    const { signal, hasReferrers = false } = this.#options;
    const children = manifest.kind === "index" ? manifest.manifests : [];
    for (const child of children) {
      if (this.documents.has(child.digest)) continue;
      await this.add(await this.#repository.manifest(child.digest, signal), depth + 1);
    }
    const referring = hasReferrers ? await this.#repository.referrers(digest, signal) : [];
    for (const one of referring) {
      if (this.documents.has(one.digest)) continue;
      const below = await this.#repository.manifest(one.digest, signal);
      this.referrers.push(await this.add(below, depth + 1));
    }
    if (hasReferrers) await this.#addAttached(digest, depth);
    return found;
  }

  async #addAttached(subject: Digest, depth: number): Promise<void> {
    const { signal } = this.#options;
    for (const tag of attachedTags(subject)) {
      if ((await this.#repository.resolve(tag, signal)) === undefined) continue;
      const fetched = await this.#repository.manifest(tag, signal);
      if (this.documents.has(fetched.descriptor.digest)) continue;
      const found = await this.add(fetched, depth + 1);
      const annotations = { ...found.descriptor.annotations, [REF_NAME]: tag };
      this.referrers.push({ ...found, descriptor: { ...found.descriptor, annotations } });
    }
  }

  images(): readonly ImageManifest[] {
    return [...this.documents.values()].flatMap(({ manifest }) =>
      manifest.kind === "manifest" ? [manifest] : [],
    );
  }
}

/** For manifest.json: the image for this machine, or the only one. */
const dockerImage = ({ documents }: Collection, top: Found): ImageManifest | undefined => {
  const entries = top.manifest.kind === "index" ? top.manifest.manifests : [top.descriptor];
  const scoreOf = ({ platform }: Descriptor): number =>
    platform === undefined ? 1 : platformScore(platform, machinePlatform());
  const [best] = entries
    .filter((entry) => entry.platform?.os !== "unknown")
    .toSorted((a, b) => scoreOf(b) - scoreOf(a));
  const manifest = best === undefined ? undefined : documents.get(best.digest)?.manifest;
  return manifest?.kind === "manifest" && isConfigType(manifest.config.mediaType)
    ? manifest
    : undefined;
};

interface Placed {
  readonly path: string;
  readonly blob: Descriptor;
}

const planOf = (
  collection: Collection,
  top: Found,
  blobs: readonly Placed[],
  names: { readonly full: string; readonly familiar: string; readonly tag: string | undefined },
): ArchivePlan => {
  const plan = new ArchivePlan();
  plan.directory("blobs");
  plan.directory("blobs/sha256");
  for (const { blob, path } of blobs) plan.file(blobName(blob.digest), path, blob.size);
  for (const { descriptor, text } of collection.documents.values()) {
    plan.document(blobName(descriptor.digest), text);
  }
  const annotations =
    names.tag === undefined ? {} : { [CONTAINERD_NAME]: names.full, [REF_NAME]: names.tag };
  const manifests = [
    { ...top.descriptor, annotations },
    ...collection.referrers.map(({ descriptor }) => descriptor),
  ];
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests };
  plan.document("index.json", JSON.stringify(index));
  const image = dockerImage(collection, top);
  if (image !== undefined && !image.layers.some(isUrlLayer)) {
    const item = {
      Config: blobName(image.config.digest),
      RepoTags: names.tag === undefined ? null : [names.familiar],
      Layers: image.layers.map(({ digest }) => blobName(digest)),
    };
    plan.document("manifest.json", JSON.stringify([item]));
  }
  plan.document("oci-layout", '{"imageLayoutVersion":"1.0.0"}');
  plan.end();
  return plan;
};

/** See `Images.exportRemote`. */
export const exportRemote = async (
  parts: PullParts,
  name: string,
  options: ExportOptions,
): Promise<ExportedArchive> => {
  const reference = withDefaultTag(parseReference(name));
  checkName(parts.dependencies.trust, reference);
  const { dependencies, pool, flights, config, remote } = parts;
  const { credentials, signal } = options;
  const repository = remote.repository(reference, credentials);
  const collection = new Collection(repository, options);
  await using held = new AsyncDisposableStack();
  const lease = held.use(dependencies.leases.acquire([]));
  try {
    const top = await collection.top(reference.digest ?? reference.tag ?? "");
    const access = {
      config,
      state: remote.state(),
      reference: formatReference(reference),
      credentials,
    };
    const all = collection
      .images()
      .flatMap((manifest) => [
        manifest.config,
        ...manifest.layers.filter((layer) => !isUrlLayer(layer)),
      ]);
    const blobs = [...new Map(all.map((blob) => [blob.digest, blob])).values()];
    const { onEvent } = options;
    const pull = {
      dependencies,
      pool,
      flights,
      access,
      signal,
      onEvent,
      lease,
      held,
      verified: new Set<Digest>(),
    };
    await pullBlobs(pull, blobs, false);
    const { content } = dependencies;
    const placed = blobs.map((blob) => ({
      blob,
      path: content.info(blob.digest)?.path ?? content.partialPath(blob.digest),
    }));
    const names = {
      full: formatReference(reference),
      familiar: familiarString(reference),
      tag: reference.digest === undefined ? reference.tag : undefined,
    };
    const plan = planOf(collection, top, placed, names);
    const stack = held.move();
    return {
      stream: (streamSignal) => streamSegments(plan.segments, streamSignal),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    throw explainRefusal(error, reference);
  }
};
