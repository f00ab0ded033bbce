/**
 * Everything that images stand on, read again and compared with its digest: blobs, configs, unpacked layers. Reads
 * every byte that is stored, so it takes long; it changes nothing unless it is told to repair.
 */
import type { Catalog } from "#image/catalog.ts";
import { familiarRow } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import { checkKept } from "#image/check-kept.ts";
import type { CheckEvent, CheckOptions } from "#image/image.ts";
import { repairImage } from "#image/restore.ts";
import { toNaruError } from "#lib/errors.ts";
import type { ImageRow } from "#metadata/images.ts";
import type { LayerVerdict } from "#snapshot/snapshot.ts";
import { platformOf } from "#spec/image/config.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";

export interface Check {
  readonly dependencies: ImageDependencies;
  readonly catalog: Catalog;
  readonly options: CheckOptions;
}

/** Blobs whose bytes are not what their name says. Repair takes them away: nobody may send or unpack them. */
async function* checkBlobs({ dependencies, options }: Check): AsyncGenerator<CheckEvent> {
  const { content } = dependencies;
  for (const { digest, sizeBytes } of content.walk()) {
    yield { kind: "progress", subject: "blob", id: digest, sizeBytes };
    if (await content.verify(digest, options.signal)) continue;
    if (options.repairs) content.delete(digest);
    yield {
      kind: "problem",
      subject: "blob",
      id: digest,
      problem: "its bytes are not those of its digest",
      outcome: options.repairs ? "removed" : "left",
    };
  }
}

/** Layers that are gone, from their blobs. */
const repairMissing = async (check: Check, row: ImageRow): Promise<string | undefined> => {
  try {
    await repairImage(check.dependencies, check.catalog.chain(row), row);
    return undefined;
  } catch (error) {
    return toNaruError(error).message;
  }
};

const isRunning = ({ dependencies }: Check, chainId: Digest, catalog: Catalog): boolean =>
  [...dependencies.rows.list()].some(
    (row) =>
      catalog.chain(row).includes(chainId) &&
      dependencies.users.containersOf(row.id).some((container) => container.isRunning),
  );

/**
 * From the registry it came from, by its digest: what a tag stands for there by now may be another image, and a name
 * that was given here another one's. Its names stay all the while. undefined when that worked.
 */
const fetchAgain = async (
  { catalog, dependencies, options }: Check,
  row: ImageRow,
  hasLayerBlobs = false,
): Promise<string | undefined> => {
  if (options.pull === undefined) return "it cannot be fetched again here";
  const own = dependencies.rows.references(row.id);
  // A platform of an index is fetched by the index's names.
  const all = own.length > 0 ? own : catalog.indexes.namesOf(row.id);
  const platform = all.some(({ target }) => target !== undefined)
    ? platformOf(row.config)
    : undefined;
  const pinned = all.filter(({ digest }) => digest !== undefined);
  if (pinned.length === 0) {
    return "it did not come from a registry: remove it, then load or build it again";
  }
  let reason = "";
  for (const name of pinned) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- the second name is for when the first fails
      await options.pull(familiarRow(name), platform, { hasLayerBlobs });
      return undefined;
    } catch (error) {
      reason = toNaruError(error).message;
    }
  }
  return reason;
};

/** The unpacked files of one layer against its tar; `row` is an image that stands on it. */
const checkLayer = async (
  check: Check,
  row: ImageRow,
  chainId: Digest,
  diffId: Digest,
): Promise<CheckEvent | undefined> => {
  const { dependencies, catalog, options } = check;
  const { content, layers, rows } = dependencies;
  const inUse = isRunning(check, chainId, catalog);
  // What a running container sees must not change under it.
  const repairs = options.repairs && !inUse;
  const blobHere = (): Digest | undefined =>
    rows.layerBlobs(diffId).find(({ digest }) => content.info(digest) !== undefined)?.digest;
  const verify = (blob: Digest | undefined): Promise<LayerVerdict> =>
    layers.verifyLayer(chainId, {
      ...(blob === undefined ? {} : { source: { path: content.path(blob) } }),
      repairs,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  const blob = blobHere();
  let verdict = await verify(blob);
  if (verdict === "good") return undefined;
  let remedy = inUse ? ": stop the containers that run on it, then repair" : "";
  if (verdict === "damaged" && repairs && blob === undefined) {
    const reason = await fetchAgain(check, row, true);
    if (reason === undefined) verdict = await verify(blobHere());
    else remedy = `, and no blob is here to unpack it from: ${reason}`;
  }
  const isRepaired = verdict === "repaired";
  return {
    kind: "problem",
    subject: "layer",
    id: chainId,
    problem: `its files are not those of its tar${isRepaired ? "" : remedy}`,
    outcome: isRepaired ? "repaired" : "left",
  };
};

/** A layer that cannot even be read is a problem like others: the check goes on. */
const triedLayer = async (
  check: Check,
  row: ImageRow,
  chainId: Digest,
  diffId: Digest,
): Promise<CheckEvent | undefined> => {
  try {
    return await checkLayer(check, row, chainId, diffId);
  } catch (error) {
    check.options.signal?.throwIfAborted();
    const problem = `it cannot be read: ${toNaruError(error).message}`;
    return { kind: "problem", subject: "layer", id: chainId, problem, outcome: "left" };
  }
};

async function* checkImage(check: Check, row: ImageRow): AsyncGenerator<CheckEvent> {
  const { dependencies, catalog, options } = check;
  const { layers } = dependencies;
  const chain = catalog.chain(row);
  const name = dependencies.rows.references(row.id).map(familiarRow)[0] ?? row.id;
  yield { kind: "progress", subject: "image", id: name, sizeBytes: row.sizeBytes };
  if (digestOf(row.configText) !== row.id) {
    const problem = "its config is not that of its id: remove it, then load or pull it again";
    yield { kind: "problem", subject: "image", id: name, problem, outcome: "left" };
  }
  const missing = chain.filter((chainId) => layers.layer(chainId) === undefined);
  if (missing.length === 0) return;
  const problem = `${missing.length} of its ${chain.length} layers are gone`;
  if (!options.repairs) {
    yield { kind: "problem", subject: "image", id: name, problem, outcome: "left" };
    return;
  }
  let reason = await repairMissing(check, row);
  if (reason !== undefined) {
    const refused = await fetchAgain(check, row);
    reason = refused === undefined ? await repairMissing(check, row) : `${reason}; ${refused}`;
  }
  yield {
    kind: "problem",
    subject: "image",
    id: name,
    problem: reason === undefined ? problem : `${problem}: ${reason}`,
    outcome: reason === undefined ? "repaired" : "left",
  };
}

/** See `Images.check`. Blobs first: what layers are repaired from must be right. */
export async function* checkImages(
  dependencies: ImageDependencies,
  catalog: Catalog,
  options: CheckOptions,
): AsyncGenerator<CheckEvent> {
  const check: Check = { dependencies, catalog, options };
  yield* checkBlobs(check);
  yield* checkKept(check);
  const seen = new Set<Digest>();
  for (const row of dependencies.rows.list()) {
    options.signal?.throwIfAborted();
    yield* checkImage(check, row);
    const chain = catalog.chain(row);
    for (const [index, diffId] of row.config.rootfs.diff_ids.entries()) {
      const chainId = chain[index];
      const layer = chainId === undefined ? undefined : dependencies.layers.layer(chainId);
      if (chainId === undefined || layer === undefined || seen.has(chainId)) continue;
      seen.add(chainId);
      yield { kind: "progress", subject: "layer", id: chainId, sizeBytes: layer.sizeBytes };
      const problem = await triedLayer(check, row, chainId, diffId);
      if (problem !== undefined) yield problem;
    }
  }
}
