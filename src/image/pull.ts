/** `docker pull`: an image appears whole, with its names, or not at all. What was fetched of it stays for the next try. */
import { type Candidate, checkName, proveImage, provenText } from "#image/admit.ts";
import { isArtifact } from "#image/artifact.ts";
import { type Catalog, parseTagTarget } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import type { FetchPool } from "#image/fetch-pool.ts";
import type { PullOptions } from "#image/transfer.ts";
import { findPulled } from "#image/pull-known.ts";
import { type LayerFlights, type PullLayer, pairLayers, pullLayers } from "#image/pull-layers.ts";
import { commitPartials, pullBlobs } from "#image/pull-blobs.ts";
import {
  type RemoteContent,
  type RemoteImage,
  type RemoteKept,
  explainRefusal,
  platformWarning,
  resolveContent,
} from "#image/pull-manifest.ts";
import { sweepManifests } from "#image/manifests.ts";
import { registerArtifact } from "#image/register-artifact.ts";
import { registerImages } from "#image/register.ts";
import { type IndexImage, manifestRow, registerIndex } from "#image/register-index.ts";
import type { ManifestRow } from "#metadata/image-manifests.ts";
import type { ReferenceRow } from "#metadata/images.ts";
import { failpoint } from "#lib/failpoint.ts";
import { NaruError } from "#lib/errors.ts";
import type { FetchedManifest, Remote, RemoteConfig, Repository } from "#remote/remote.ts";
import { isAttachedTag } from "#spec/distribution/name.ts";
import { platformOf } from "#spec/image/config.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import { type Digest, digestOf, shortId } from "#spec/image/digest.ts";
import { parseManifest } from "#spec/image/manifest.ts";
import { isUrlLayer, layerTypeOf } from "#spec/image/media-type.ts";
import {
  type Reference,
  familiarName,
  familiarString,
  formatReference,
  parseReference,
  repositoryOf,
} from "#spec/image/reference.ts";

export interface PullParts {
  readonly catalog: Catalog;
  readonly dependencies: ImageDependencies;
  readonly remote: Remote;
  readonly config: RemoteConfig;
  readonly pool: FetchPool;
  readonly flights: LayerFlights;
}

const ATTACHED = "Skipped: what refers to another image is no image";
/** Partials that nobody came back for. */
const PARTIAL_AGE_MS = 7 * 24 * 3600 * 1000;

const namesOf = (reference: Reference, digest: Digest): string[] => {
  const repository = repositoryOf(reference);
  const pinned = `${repository}@${digest}`;
  const isTagged = reference.tag !== undefined && reference.digest === undefined;
  return isTagged ? [`${repository}:${reference.tag}`, pinned] : [pinned];
};

interface Arrived {
  readonly image: RemoteImage;
  readonly layers: readonly PullLayer[];
}

const storeImage = (
  { content, layers: store }: ImageDependencies,
  { image, layers }: Arrived,
  verified: ReadonlySet<Digest>,
): IndexImage => {
  const unpacked = layers.filter(({ chainId }) => store.layer(chainId) !== undefined);
  commitPartials(
    content,
    unpacked.map(({ blob }) => blob),
    verified,
  );
  const stored = layers.map(({ blob, chainId, diffId }) => {
    const { digest, size } = blob;
    const mediaType = blob.mediaType || layerTypeOf("gzip");
    const row = { digest, mediaType, sizeBytes: size };
    return { diffId, sizeBytes: store.layer(chainId)?.sizeBytes ?? 0, blobs: [row] };
  });
  const { text, descriptor } = image.fetched;
  content.write(text, { digest: descriptor.digest });
  const { configText, manifest } = image;
  return {
    image: { configText, layers: stored, manifestDigest: descriptor.digest },
    manifest: manifestRow(text, manifest.mediaType, descriptor.digest),
  };
};

const rowOf = ({ text, descriptor }: FetchedManifest): ManifestRow =>
  manifestRow(text, parseManifest(text, descriptor.mediaType).mediaType, descriptor.digest);

const registerKept = (
  dependencies: ImageDependencies,
  { fetched, manifest }: RemoteKept,
  references: readonly string[],
): Digest => {
  const { descriptor, text } = fetched;
  return registerArtifact(dependencies, { digest: descriptor.digest, text, manifest }, references);
};

/** Of what is kept as it comes. */
const keptBlobs = ({ kept, referrers }: RemoteContent): readonly Descriptor[] =>
  [...kept, ...referrers].flatMap(({ manifest }) =>
    manifest.kind === "index" ? [] : [manifest.config, ...manifest.layers],
  );

/** From here on everything is synchronous: no removal can come between blobs, rows and names. Returns the main image. */
const register = (
  parts: PullParts,
  reference: Reference,
  remote: RemoteContent,
  arrived: readonly Arrived[],
  verified: ReadonlySet<Digest>,
): Digest => {
  const { dependencies } = parts;
  const { rows } = dependencies;
  // Files before rows: a transaction may run twice.
  const images = arrived.map((one) => storeImage(dependencies, one, verified));
  commitPartials(dependencies.content, keptBlobs(remote), verified);
  failpoint("pull.before-reference");
  const id = rows.transaction(() => {
    const registered = registerContent(parts, reference, remote, images);
    for (const { fetched, tag } of remote.referrers) {
      if (tag !== undefined) rows.manifests.attach(tag, fetched.descriptor.digest);
    }
    return registered;
  });
  // A tag that had another manifest before: nothing leads to that one any more.
  if (remote.referrers.length > 0) sweepManifests(dependencies, parts.catalog);
  return id;
};

const registerContent = (
  { dependencies, catalog }: PullParts,
  reference: Reference,
  remote: RemoteContent,
  images: readonly IndexImage[],
): Digest => {
  const references = namesOf(reference, remote.digest);
  const { rows } = dependencies;
  const [first] = images;
  const [artifact] = remote.kept;
  const referring = remote.referrers.map(({ fetched }) => rowOf(fetched));
  if (remote.indexes.length === 0) {
    const single = (): Digest | undefined => {
      if (first === undefined) return artifact && registerKept(dependencies, artifact, references);
      return registerImages(dependencies, [{ image: first.image, references }], "silent")[0];
    };
    return rows.transaction(() => {
      for (const row of referring) rows.manifests.put(row);
      return single() ?? remote.digest;
    });
  }
  const kept = remote.kept.map(({ fetched }) => fetched);
  const documents = [...[...remote.indexes, ...kept].map(rowOf), ...referring];
  const registration = { target: remote.digest, documents, images, references };
  return registerIndex(dependencies, catalog.indexes, registration, "silent");
};

/**
 * Blobs of layers that are unpacked here, and that an earlier pull left whole among the partials: they are verified. And
 * of layers that were here in another form: what refers to an image speaks of its manifest, which goes out again (to an
 * archive, to other machines) only with the blobs that it names.
 */
const lackingLayers = (
  { content }: ImageDependencies,
  { images, referrers }: RemoteContent,
  { hasLayerBlobs = false }: PullOptions,
  verified: ReadonlySet<Digest>,
): readonly Descriptor[] => {
  const isWanted = referrers.length > 0 || hasLayerBlobs;
  const isLacking = ({ digest, size }: Descriptor): boolean =>
    content.info(digest)?.sizeBytes !== size &&
    !verified.has(digest) &&
    (isWanted || Bun.file(content.partialPath(digest)).size === size);
  const layers = images.flatMap(({ manifest }) => manifest.layers);
  return layers.filter((layer) => !isUrlLayer(layer) && isLacking(layer));
};

const fetchContent = async (
  parts: PullParts,
  repository: Repository,
  remote: RemoteContent,
  options: PullOptions,
): Promise<Digest> => {
  const { dependencies, pool, flights, config } = parts;
  const { reference } = repository;
  await using held = new AsyncDisposableStack();
  await using undo = new AsyncDisposableStack();
  using lease = dependencies.leases.acquire([]);
  const { signal, onEvent, credentials } = options;
  const access = {
    config,
    state: parts.remote.state(),
    reference: formatReference(reference),
    credentials,
  };
  const verified = new Set<Digest>();
  const own = { undo, lease, held, verified };
  const context = { dependencies, pool, flights, access, signal, onEvent, ...own };
  const arrived = remote.images.map((image) => ({
    image,
    layers: pairLayers(image.manifest.layers, image.config.rootfs.diff_ids),
  }));
  for (const { layers } of arrived) await pullLayers(context, layers);
  await pullBlobs(context, [
    ...keptBlobs(remote),
    ...lackingLayers(dependencies, remote, options, verified),
  ]);
  const id = register(parts, reference, remote, arrived, verified);
  undo.move();
  return id;
};

const publishPull = ({ dependencies }: PullParts, reference: Reference, id: Digest): void => {
  const labels = dependencies.rows.get(id)?.config.config?.Labels ?? {};
  const name = familiarString(reference);
  dependencies.publish({
    status: "pull",
    id: name,
    Type: "image",
    Action: "pull",
    Actor: { ID: name, Attributes: { ...labels, name: familiarName(reference) } },
  });
};

const manifestOf = async (
  { dependencies: { content } }: PullParts,
  repository: Repository,
  digest: Digest,
  signal: AbortSignal,
): Promise<string> =>
  content.info(digest) === undefined
    ? (await repository.manifest(digest, signal)).text
    : content.readText(digest);

/** Asks the policy about each image; gives what keeps the proofs, once they are here. */
const admitPull = async (
  { dependencies }: PullParts,
  repository: Repository,
  candidates: readonly Candidate[],
  { signal, onEvent }: PullOptions,
): Promise<() => void> => {
  const { trust, rows } = dependencies;
  const verdict = checkName(trust, repository.reference);
  const keeps: (() => void)[] = [];
  for (const candidate of candidates) {
    const proven = await proveImage(trust, repository, verdict, candidate, signal);
    if (proven === undefined) continue;
    onEvent({ status: provenText(proven) });
    const { imageId } = candidate;
    keeps.push(() => trust.keep(imageId, proven.proof, (id) => rows.get(id) !== undefined));
  }
  return () => keeps.forEach((keep) => keep());
};

const withReferrers = async (
  repository: Repository,
  content: RemoteContent,
  { hasReferrers = false, onEvent, signal }: PullOptions,
): Promise<RemoteContent> => {
  if (!hasReferrers) return content;
  const { findReferrers } = await import("#image/pull-referrers.ts");
  const referrers = await findReferrers(repository, content, signal);
  for (const { fetched } of referrers) {
    onEvent({ status: "Pulling referrer", id: shortId(fetched.descriptor.digest) });
  }
  return { ...content, referrers };
};

const pullOne = async (
  parts: PullParts,
  reference: Reference,
  options: PullOptions,
): Promise<void> => {
  const { dependencies, remote } = parts;
  const { signal, onEvent } = options;
  const repository = remote.repository(reference, options.credentials);
  const wanted = reference.digest ?? reference.tag ?? "";
  const start = { status: `Pulling from ${reference.path}`, id: wanted };
  const tagged =
    reference.digest === undefined
      ? dependencies.rows.reference(repositoryOf(reference), reference.tag)
      : undefined;
  const finish = (digest: Digest, isNew: boolean, id: Digest): void => {
    onEvent({ status: `Digest: ${digest}` });
    const words = isNew ? "Downloaded newer image for" : "Image is up to date for";
    onEvent({ status: `Status: ${words} ${familiarString(reference)}` });
    const row = dependencies.rows.get(id);
    const isIndex = dependencies.rows.references(id).some(({ target }) => target === digest);
    const warning =
      row === undefined || isIndex || isArtifact(row)
        ? undefined
        : platformWarning(reference, options.platform, platformOf(row.config));
    if (warning !== undefined) onEvent({ status: warning });
    publishPull(parts, reference, id);
  };
  const head = await repository.resolve(wanted, signal);
  // Who asks for referrers wants those that came since, too.
  const isMore = options.hasReferrers === true || options.hasLayerBlobs === true;
  const known =
    head !== undefined && !isMore ? findPulled(parts, reference, head.digest, options) : undefined;
  if (head !== undefined && known !== undefined) {
    onEvent(start);
    const { imageId, target } = known.name;
    const candidates = known.images.map((row) => ({
      imageId: row.id,
      digest: head.digest,
      manifestText: () => manifestOf(parts, repository, row.manifestDigest ?? head.digest, signal),
    }));
    (await admitPull(parts, repository, candidates, options))();
    const isNew = reference.digest === undefined && !isSame(tagged, known.name);
    if (isNew) {
      const name = parseTagTarget(`${repositoryOf(reference)}:${wanted}`);
      dependencies.rows.setReference({
        repository: repositoryOf(name),
        imageId,
        ...(name.tag === undefined ? {} : { tag: name.tag }),
        ...(target === undefined ? {} : { target }),
      });
    }
    return finish(head.digest, isNew, imageId);
  }
  parts.pool.warm();
  const resolved = await resolveContent(repository, head?.digest ?? wanted, options, signal);
  onEvent(start);
  const remoteContent = await withReferrers(repository, resolved, options);
  const { digest, rateLimit } = remoteContent;
  if (rateLimit !== undefined) {
    onEvent({ status: `Rate limit of ${reference.domain}: ${rateLimit}` });
  }
  const candidates = remoteContent.images.map(({ configText, fetched }) => ({
    imageId: digestOf(configText),
    digest,
    manifestText: () => Promise.resolve(fetched.text),
  }));
  const keepProofs = await admitPull(parts, repository, candidates, options);
  const id = await fetchContent(parts, repository, remoteContent, options);
  keepProofs();
  finish(digest, tagged?.imageId !== id, id);
};

const isSame = (one: ReferenceRow | undefined, other: ReferenceRow): boolean =>
  one?.imageId === other.imageId && one.target === other.target;

/** See `Images.pull`. */
export const pullImages = async (
  parts: PullParts,
  name: string,
  options: PullOptions,
): Promise<void> => {
  const reference = parseReference(name);
  checkName(parts.dependencies.trust, reference);
  parts.dependencies.content.sweepPartials(PARTIAL_AGE_MS);
  try {
    if (!options.isAllTags) return await pullOne(parts, reference, options);
    if (reference.tag !== undefined || reference.digest !== undefined) {
      throw new NaruError("invalid_argument", "tag can't be used with --all-tags/-a");
    }
    const tags = await parts.remote.repository(reference, options.credentials).tags(options.signal);
    for (const tag of tags) {
      if (isAttachedTag(tag)) options.onEvent({ status: ATTACHED, id: tag });
      else await pullOne(parts, { ...reference, tag }, options);
    }
  } catch (error) {
    throw explainRefusal(error, reference);
  }
};
