/** The read side for people: list, inspect, history, and the sizes behind `system df`. */
import { isArtifact } from "#image/artifact.ts";
import { type Catalog, createdAtOf, createdNs, familiarRow, toReference } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import type { ImageUsageTotal, InspectOptions, ListOptions } from "#image/image.ts";
import { descriptorOf, manifestsOf } from "#image/manifest-summary.ts";
import { nowNs, parseInstant } from "#lib/clock.ts";
import type { ImageRow, ReferenceRow } from "#metadata/images.ts";
import { type Filters, booleanFilter, matchesLabels } from "#spec/docker/filters.ts";
import type { HistoryItem, ImageInspect, ImageSummary } from "#spec/docker/image.ts";
import { parseTimestamp } from "#spec/docker/timestamp.ts";
import { historyWithLayers } from "#spec/image/config.ts";
import type { Digest } from "#spec/image/digest.ts";
import type { Platform } from "#spec/image/platform.ts";
import { referenceMatcher } from "#spec/image/reference-match.ts";

type Parts = Pick<ImageDependencies, "rows" | "layers" | "users" | "content">;

const secondsOf = (instant: string | undefined): number => {
  try {
    return instant === undefined ? 0 : Number(parseInstant(instant) / 1_000_000_000n);
  } catch {
    return 0;
  }
};

/** Layers (by chainID) that more than one image stands on; `groups` are the platforms of each. */
const sharedChains = (groups: readonly (readonly ImageRow[])[], catalog: Catalog): Set<Digest> => {
  const seen = new Set<Digest>();
  const shared = new Set<Digest>();
  for (const group of groups) {
    const own = new Set(group.flatMap((row) => catalog.chain(row)));
    for (const chainId of own) (seen.has(chainId) ? shared : seen).add(chainId);
  }
  return shared;
};

/** The image and the other platforms that its names stand for. */
const withParts = (parts: Parts, catalog: Catalog, row: ImageRow): readonly ImageRow[] => {
  const targets = parts.rows.references(row.id).flatMap(({ target }) => target ?? []);
  if (targets.length === 0) return [row];
  return [...new Set([row, ...targets.flatMap((target) => catalog.indexes.images(target))])];
};

/** Bytes of the unpacked layers of all platforms, each once. */
const wholeSize = (parts: Parts, catalog: Catalog, row: ImageRow): number => {
  const all = withParts(parts, catalog, row);
  if (all.length === 1) return row.sizeBytes;
  const sizes = new Map(
    all.flatMap((one) => {
      const layers = layerSizes(parts, one);
      return catalog.chain(one).map((chainId, index) => [chainId, layers[index] ?? 0] as const);
    }),
  );
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
};

const layerSizes = (parts: Parts, row: ImageRow): number[] =>
  row.config.rootfs.diff_ids.map((diffId) => parts.rows.layerSize(diffId) ?? 0);

/** How many containers were made from one of these. */
const userCount = (counts: ReadonlyMap<string, number>, rows: readonly ImageRow[]): number =>
  rows.reduce((sum, { id }) => sum + (counts.get(id) ?? 0), 0);

const summaryOf = (
  parts: Parts,
  catalog: Catalog,
  row: ImageRow,
  names: readonly ReferenceRow[],
): ImageSummary => ({
  Id: row.id,
  ParentId: row.parent ?? "",
  RepoTags: names.filter((name) => name.tag !== undefined).map(familiarRow),
  RepoDigests: names.filter((name) => name.digest !== undefined).map(familiarRow),
  Created: secondsOf(row.config.created),
  Size: wholeSize(parts, catalog, row),
  SharedSize: -1,
  Labels: row.config.config?.Labels ?? null,
  Containers: -1,
});

interface Bounds {
  readonly beforeNs: bigint | undefined;
  readonly sinceNs: bigint | undefined;
  readonly untilNs: bigint | undefined;
}

const boundsOf = (filters: Filters, catalog: Catalog): Bounds => {
  const ofImages = (key: string): bigint[] =>
    (filters.get(key) ?? []).map((name) => createdNs(catalog.row(catalog.resolve(name))));
  const smallest = (values: bigint[]): bigint | undefined =>
    values.length === 0 ? undefined : values.reduce((a, b) => (a < b ? a : b));
  const largest = (values: bigint[]): bigint | undefined =>
    values.length === 0 ? undefined : values.reduce((a, b) => (a > b ? a : b));
  const now = nowNs();
  return {
    beforeNs: smallest(ofImages("before")),
    sinceNs: largest(ofImages("since")),
    untilNs: smallest((filters.get("until") ?? []).map((text) => parseTimestamp(text, now))),
  };
};

const isWithin = (createdNs: bigint, bounds: Bounds): boolean =>
  (bounds.beforeNs === undefined || createdNs < bounds.beforeNs) &&
  (bounds.sinceNs === undefined || createdNs > bounds.sinceNs) &&
  (bounds.untilNs === undefined || createdNs <= bounds.untilNs);

export const listImages = (
  parts: Parts,
  catalog: Catalog,
  options: ListOptions,
): ImageSummary[] => {
  const { filters } = options;
  const isDangling = booleanFilter(filters, "dangling");
  const patterns = filters.get("reference")?.map(referenceMatcher);
  const bounds = boundsOf(filters, catalog);
  const found: { summary: ImageSummary; row: ImageRow; atNs: bigint }[] = [];
  const parents = new Set([...parts.rows.list()].map((row) => row.parent));
  const members = catalog.indexes.parts();
  for (const row of parts.rows.list()) {
    // A platform of an image with a name is shown with it.
    if (members.has(row.id) && parts.rows.references(row.id).length === 0) continue;
    const atNs = createdNs(row);
    if (!isWithin(atNs, bounds)) continue;
    if (!matchesLabels(filters, row.config.config?.Labels ?? {})) continue;
    const all = parts.rows.references(row.id);
    const names =
      patterns === undefined
        ? all
        : all.filter((name) => patterns.some((matches) => matches(toReference(name))));
    if (patterns !== undefined && names.length === 0) continue;
    const isNamed = all.some((name) => name.tag !== undefined);
    if (all.length === 0 && !options.isAll && parents.has(row.id)) continue;
    if (isDangling === true && (isNamed || parents.has(row.id))) continue;
    if (isDangling === false && all.length === 0) continue;
    const summary = summaryOf(parts, catalog, row, names);
    if (options.hasManifests === true) {
      const target = all.find((name) => name.target !== undefined)?.target;
      summary.Manifests = manifestsOf(parts, catalog, row, target);
      const descriptor = descriptorOf(parts, row, target);
      if (descriptor !== undefined) summary.Descriptor = descriptor;
    }
    found.push({ summary, row, atNs });
  }
  if (options.hasSharedSize === true) {
    const usage = new Map(imageUsage(parts, catalog).images.map((item) => [item.summary.Id, item]));
    for (const { summary } of found) {
      const item = usage.get(summary.Id);
      summary.SharedSize = item?.sharedBytes ?? 0;
    }
  }
  if (options.hasUsers === true) {
    const counts = parts.users.containerCounts();
    for (const { summary, row } of found) {
      summary.Containers = userCount(counts, withParts(parts, catalog, row));
    }
  }
  return found
    .toSorted((a, b) => (a.atNs === b.atNs ? 0 : a.atNs > b.atNs ? -1 : 1))
    .map(({ summary }) => summary);
};

export const imageUsage = (parts: Parts, catalog: Catalog): ImageUsageTotal => {
  const rows = [...parts.rows.list()];
  const counted = new Set<Digest>();
  let layersBytes = 0;
  // Images without a name that others were made from are no images of their own to a user.
  const parents = new Set(rows.map((row) => row.parent));
  const members = catalog.indexes.parts();
  const isShown = (row: ImageRow): boolean =>
    parts.rows.references(row.id).length > 0 || !(parents.has(row.id) || members.has(row.id));
  const groups = rows
    .filter((row) => isShown(row) || !members.has(row.id))
    .map((row) => withParts(parts, catalog, row));
  const shared = sharedChains(groups, catalog);
  const counts = parts.users.containerCounts();
  const images = rows.filter(isShown).map((row) => {
    const own = new Map<Digest, number>();
    const platforms = withParts(parts, catalog, row);
    for (const one of platforms) {
      const sizes = layerSizes(parts, one);
      catalog.chain(one).forEach((chainId, index) => own.set(chainId, sizes[index] ?? 0));
    }
    let sharedBytes = 0;
    let uniqueBytes = 0;
    for (const [chainId, size] of own) {
      if (shared.has(chainId)) sharedBytes += size;
      else uniqueBytes += size;
      if (counted.has(chainId)) continue;
      counted.add(chainId);
      layersBytes += size;
    }
    if (isArtifact(row)) {
      uniqueBytes += row.sizeBytes;
      layersBytes += row.sizeBytes;
    }
    const summary: ImageSummary = {
      ...summaryOf(parts, catalog, row, parts.rows.references(row.id)),
      SharedSize: sharedBytes,
      Containers: userCount(counts, platforms),
    };
    return { summary, sharedBytes, uniqueBytes };
  });
  return { layersBytes, images };
};

/** GraphDriver as clients of overlay2 know it. */
const graphDriver = (parts: Parts, chain: readonly Digest[]): ImageInspect["GraphDriver"] => {
  const paths = chain
    .filter((chainId) => parts.layers.layer(chainId) !== undefined)
    .map((chainId) => parts.layers.layerPath(chainId))
    .toReversed();
  const [upper, ...lower] = paths;
  if (upper === undefined) return { Name: "overlay2", Data: null };
  const lowerPart = lower.length === 0 ? {} : { LowerDir: lower.join(":") };
  return { Name: "overlay2", Data: { ...lowerPart, UpperDir: upper } };
};

export const inspectImage = (
  parts: Parts,
  catalog: Catalog,
  name: string,
  { platform, hasManifests = false }: InspectOptions = {},
): ImageInspect => {
  const { target } = catalog.named(name);
  const row = catalog.chosen(name, platform);
  const record = catalog.record(row);
  const { config, repoDigests, repoTags } = record;
  const descriptor = descriptorOf(parts, row, target);
  return {
    Id: record.id,
    RepoTags: [...repoTags],
    RepoDigests: [...repoDigests],
    Parent: record.parent ?? "",
    Comment: config.comment ?? config.history?.at(-1)?.comment ?? "",
    Created: createdAtOf(row),
    DockerVersion: config.docker_version ?? "",
    Author: config.author ?? "",
    Container: config.container ?? "",
    ContainerConfig: config.container_config ?? {},
    Config: config.config ?? {},
    Architecture: config.architecture,
    ...(config.variant === undefined || config.variant === "" ? {} : { Variant: config.variant }),
    Os: config.os,
    Size: record.sizeBytes,
    GraphDriver: graphDriver(parts, catalog.chain(row)),
    RootFS: { Type: "layers", Layers: [...config.rootfs.diff_ids] },
    Metadata: { LastTagTime: record.lastTaggedAt },
    ...(descriptor === undefined ? {} : { Descriptor: descriptor }),
    ...(hasManifests ? { Manifests: manifestsOf(parts, catalog, row, target) } : {}),
  };
};

export const imageHistory = (
  parts: Parts,
  catalog: Catalog,
  name: string,
  platform?: Platform,
): HistoryItem[] => {
  const row = catalog.chosen(name, platform);
  const sizes = layerSizes(parts, row);
  const items = historyWithLayers(row.config)
    .map(({ entry, layerIndex }) => ({
      Id: "<missing>",
      Created: secondsOf(entry.created),
      CreatedBy: entry.created_by ?? "",
      Tags: null as string[] | null,
      Size: layerIndex === undefined ? 0 : (sizes[layerIndex] ?? 0),
      Comment: entry.comment ?? "",
    }))
    .toReversed();
  // Steps of images that are here get their ids: this one, its parent, and so on down.
  let id: Digest | undefined = row.id;
  for (const item of items) {
    if (id === undefined) break;
    const tags = parts.rows.references(id).filter((reference) => reference.tag !== undefined);
    item.Id = id;
    item.Tags = tags.length === 0 ? null : tags.map(familiarRow);
    id = parts.rows.get(id)?.parent;
  }
  return items;
};
