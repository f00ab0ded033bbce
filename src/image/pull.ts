/** `docker pull`: an image appears whole, with its names, or not at all. What was fetched of it stays for the next try. */
import { type Candidate, checkName, proveImage, provenText } from "#image/admit.ts";
import { parseTagTarget } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import type { FetchPool } from "#image/fetch-pool.ts";
import type { PullOptions } from "#image/transfer.ts";
import { type LayerFlights, type PullLayer, pairLayers, pullLayers } from "#image/pull-layers.ts";
import { type RemoteImage, explainRefusal, resolveImage } from "#image/pull-manifest.ts";
import { registerImages } from "#image/register.ts";
import { failpoint } from "#lib/failpoint.ts";
import { NaruError } from "#lib/errors.ts";
import type { Remote, RemoteConfig, Repository } from "#remote/remote.ts";
import { chainIds } from "#spec/image/chain-id.ts";
import { platformOf } from "#spec/image/config.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";
import { layerTypeOf } from "#spec/image/media-type.ts";
import { platformScore } from "#spec/image/platform.ts";
import {
  type Reference,
  familiarName,
  familiarString,
  formatReference,
  parseReference,
  repositoryOf,
} from "#spec/image/reference.ts";

export interface PullParts {
  readonly dependencies: ImageDependencies;
  readonly remote: Remote;
  readonly config: RemoteConfig;
  readonly pool: FetchPool;
  readonly flights: LayerFlights;
}

/** Partials that nobody came back for. */
const PARTIAL_AGE_MS = 7 * 24 * 3600 * 1000;

/** The image that is here under the registry's digest, whole and for the right platform. */
const findPulled = (
  { dependencies }: PullParts,
  reference: Reference,
  digest: Digest,
  { platform }: PullOptions,
): Digest | undefined => {
  const { rows, layers } = dependencies;
  const id = rows.findReference(repositoryOf(reference), undefined, digest);
  const row = id === undefined ? undefined : rows.get(id);
  if (row === undefined) return undefined;
  const isRight = platform === undefined || platformScore(platformOf(row.config), platform) > 0;
  const top = chainIds(row.config.rootfs.diff_ids).at(-1);
  return isRight && (top === undefined || layers.layer(top) !== undefined) ? row.id : undefined;
};

const namesOf = (reference: Reference, digest: Digest): string[] => {
  const repository = repositoryOf(reference);
  const pinned = `${repository}@${digest}`;
  const isTagged = reference.tag !== undefined && reference.digest === undefined;
  return isTagged ? [`${repository}:${reference.tag}`, pinned] : [pinned];
};

/** From here on everything is synchronous: no removal can come between blobs, rows and names. */
const register = (
  { dependencies }: PullParts,
  reference: Reference,
  image: RemoteImage,
  layers: readonly PullLayer[],
): void => {
  const { content, layers: store } = dependencies;
  const stored = layers.map(({ blob, chainId, diffId }) => {
    const { digest, size } = blob;
    const isHere = content.info(digest) !== undefined;
    const isFetched =
      !isHere && store.layer(chainId) !== undefined && hasPartial(content, digest, size);
    if (isFetched) content.commitPartial(digest, size);
    const mediaType = blob.mediaType || layerTypeOf("gzip");
    const row = { digest, mediaType, sizeBytes: size };
    return { diffId, sizeBytes: store.layer(chainId)?.sizeBytes ?? 0, blobs: [row] };
  });
  content.write(image.fetched.text, { digest: image.fetched.descriptor.digest });
  failpoint("pull.before-reference");
  const { configText } = image;
  const manifestDigest = image.fetched.descriptor.digest;
  registerImages(
    dependencies,
    [
      {
        image: { configText, layers: stored, manifestDigest },
        references: namesOf(reference, image.digest),
      },
    ],
    "silent",
  );
};

const hasPartial = (
  content: ImageDependencies["content"],
  digest: Digest,
  sizeBytes: number,
): boolean => Bun.file(content.partialPath(digest)).size === sizeBytes;

const fetchImage = async (
  parts: PullParts,
  repository: Repository,
  image: RemoteImage,
  options: PullOptions,
): Promise<void> => {
  const { dependencies, pool, flights, remote, config } = parts;
  const { reference } = repository;
  const layers = pairLayers(image.manifest.layers, image.config.rootfs.diff_ids);
  await using held = new AsyncDisposableStack();
  await using undo = new AsyncDisposableStack();
  using lease = dependencies.leases.acquire([]);
  const { signal, onEvent, credentials } = options;
  const access = {
    config,
    state: remote.state(),
    reference: formatReference(reference),
    credentials,
  };
  const context = { dependencies, pool, flights, access, signal, onEvent, undo, lease, held };
  await pullLayers(context, layers);
  register(parts, reference, image, layers);
  undo.move();
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

/** Asks the policy; gives what keeps the proof, once the image is here. */
const admitPull = async (
  { dependencies }: PullParts,
  repository: Repository,
  candidate: Candidate,
  { signal, onEvent }: PullOptions,
): Promise<() => void> => {
  const { trust, rows } = dependencies;
  const verdict = checkName(trust, repository.reference);
  const proven = await proveImage(trust, repository, verdict, candidate, signal);
  if (proven === undefined) return () => undefined;
  onEvent({ status: provenText(proven) });
  return () => trust.keep(candidate.imageId, proven.proof, (id) => rows.get(id) !== undefined);
};

const pullOne = async (
  parts: PullParts,
  reference: Reference,
  options: PullOptions,
): Promise<void> => {
  const { dependencies, remote } = parts;
  const { signal, onEvent, platform } = options;
  const repository = remote.repository(reference, options.credentials);
  const wanted = reference.digest ?? reference.tag ?? "";
  const start = { status: `Pulling from ${reference.path}`, id: wanted };
  const tagId =
    reference.digest === undefined
      ? dependencies.rows.findReference(repositoryOf(reference), reference.tag)
      : undefined;
  const finish = (digest: Digest, isNew: boolean, id: Digest): void => {
    onEvent({ status: `Digest: ${digest}` });
    const words = isNew ? "Downloaded newer image for" : "Image is up to date for";
    onEvent({ status: `Status: ${words} ${familiarString(reference)}` });
    publishPull(parts, reference, id);
  };
  const head = await repository.resolve(wanted, signal);
  const known = head === undefined ? undefined : findPulled(parts, reference, head.digest, options);
  if (head !== undefined && known !== undefined) {
    onEvent(start);
    const row = dependencies.rows.get(known);
    const candidate = {
      imageId: known,
      digest: head.digest,
      manifestText: () => manifestOf(parts, repository, row?.manifestDigest ?? head.digest, signal),
    };
    (await admitPull(parts, repository, candidate, options))();
    if (row !== undefined && reference.digest === undefined && tagId !== known) {
      const target = parseTagTarget(`${repositoryOf(reference)}:${wanted}`);
      dependencies.rows.setReference({
        repository: repositoryOf(target),
        imageId: known,
        ...(target.tag === undefined ? {} : { tag: target.tag }),
      });
    }
    return finish(head.digest, reference.digest === undefined && tagId !== known, known);
  }
  parts.pool.warm();
  const image = await resolveImage(repository, head?.digest ?? wanted, platform, signal);
  onEvent(start);
  const { rateLimit } = image.fetched;
  if (rateLimit !== undefined) {
    onEvent({ status: `Rate limit of ${reference.domain}: ${rateLimit}` });
  }
  const id = digestOf(image.configText);
  const manifestText = (): Promise<string> => Promise.resolve(image.fetched.text);
  const candidate = { imageId: id, digest: image.digest, manifestText };
  const keepProof = await admitPull(parts, repository, candidate, options);
  await fetchImage(parts, repository, image, options);
  keepProof();
  finish(image.digest, tagId !== id, id);
};

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
    for (const tag of tags) await pullOne(parts, { ...reference, tag }, options);
  } catch (error) {
    throw explainRefusal(error, reference);
  }
};
