/** The read side for people: list, inspect, history, and the sizes behind `system df`. */
import { type Catalog, createdAtOf, createdNs, familiarRow, toReference } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import type { ImageUsageTotal, ListOptions } from "#image/image.ts";
import { nowNs, parseInstant } from "#lib/clock.ts";
import type { ImageRow, ReferenceRow } from "#metadata/images.ts";
import { type Filters, booleanFilter, matchesLabels } from "#spec/docker/filters.ts";
import type { HistoryItem, ImageInspect, ImageSummary } from "#spec/docker/image.ts";
import { parseTimestamp } from "#spec/docker/timestamp.ts";
import { historyWithLayers } from "#spec/image/config.ts";
import type { Digest } from "#spec/image/digest.ts";
import { referenceMatcher } from "#spec/image/reference-match.ts";

type Parts = Pick<ImageDependencies, "rows" | "layers" | "users">;

const secondsOf = (instant: string | undefined): number => {
  try {
    return instant === undefined ? 0 : Number(parseInstant(instant) / 1_000_000_000n);
  } catch {
    return 0;
  }
};

/** Layers (by chainID) that more than one image stands on. */
const sharedChains = (rows: Iterable<ImageRow>, catalog: Catalog): Set<Digest> => {
  const seen = new Set<Digest>();
  const shared = new Set<Digest>();
  for (const row of rows) {
    for (const chainId of catalog.chain(row)) (seen.has(chainId) ? shared : seen).add(chainId);
  }
  return shared;
};

const layerSizes = (parts: Parts, row: ImageRow): number[] =>
  row.config.rootfs.diff_ids.map((diffId) => parts.rows.layerSize(diffId) ?? 0);

const summaryOf = (parts: Parts, row: ImageRow, names: readonly ReferenceRow[]): ImageSummary => ({
  Id: row.id,
  ParentId: row.parent ?? "",
  RepoTags: names.filter((name) => name.tag !== undefined).map(familiarRow),
  RepoDigests: names.filter((name) => name.digest !== undefined).map(familiarRow),
  Created: secondsOf(row.config.created),
  Size: row.sizeBytes,
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
  const found: { summary: ImageSummary; atNs: bigint }[] = [];
  const parents = new Set([...parts.rows.list()].map((row) => row.parent));
  for (const row of parts.rows.list()) {
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
    found.push({ summary: summaryOf(parts, row, names), atNs });
  }
  if (options.hasSharedSize === true) {
    const usage = new Map(imageUsage(parts, catalog).images.map((item) => [item.summary.Id, item]));
    for (const { summary } of found) {
      const item = usage.get(summary.Id);
      summary.SharedSize = item?.sharedBytes ?? 0;
      summary.Containers = item?.summary.Containers ?? 0;
    }
  }
  return found
    .toSorted((a, b) => (a.atNs === b.atNs ? 0 : a.atNs > b.atNs ? -1 : 1))
    .map(({ summary }) => summary);
};

export const imageUsage = (parts: Parts, catalog: Catalog): ImageUsageTotal => {
  const rows = [...parts.rows.list()];
  const shared = sharedChains(rows, catalog);
  const counted = new Set<Digest>();
  let layersBytes = 0;
  // Images without a name that others were made from are no images of their own to a user.
  const parents = new Set(rows.map((row) => row.parent));
  const isShown = (row: ImageRow): boolean =>
    !parents.has(row.id) || parts.rows.references(row.id).length > 0;
  const images = rows.filter(isShown).map((row) => {
    const sizes = layerSizes(parts, row);
    let sharedBytes = 0;
    catalog.chain(row).forEach((chainId, index) => {
      const size = sizes[index] ?? 0;
      if (shared.has(chainId)) sharedBytes += size;
      if (counted.has(chainId)) return;
      counted.add(chainId);
      layersBytes += size;
    });
    const summary: ImageSummary = {
      ...summaryOf(parts, row, parts.rows.references(row.id)),
      SharedSize: sharedBytes,
      Containers: parts.users.containersOf(row.id).length,
    };
    return { summary, sharedBytes, uniqueBytes: row.sizeBytes - sharedBytes };
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

export const inspectImage = (parts: Parts, catalog: Catalog, name: string): ImageInspect => {
  const record = catalog.get(name);
  const { config } = record;
  return {
    Id: record.id,
    RepoTags: [...record.repoTags],
    RepoDigests: [...record.repoDigests],
    Parent: record.parent ?? "",
    Comment: config.comment ?? config.history?.at(-1)?.comment ?? "",
    Created: createdAtOf(catalog.row(record.id)),
    DockerVersion: config.docker_version ?? "",
    Author: config.author ?? "",
    Config: config.config ?? {},
    Architecture: config.architecture,
    ...(config.variant === undefined || config.variant === "" ? {} : { Variant: config.variant }),
    Os: config.os,
    Size: record.sizeBytes,
    GraphDriver: graphDriver(parts, catalog.chain(catalog.row(record.id))),
    RootFS: { Type: "layers", Layers: [...config.rootfs.diff_ids] },
    Metadata: { LastTagTime: record.lastTaggedAt },
  };
};

export const imageHistory = (parts: Parts, catalog: Catalog, name: string): HistoryItem[] => {
  const row = catalog.row(catalog.resolve(name));
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
