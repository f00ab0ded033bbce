/** `system df -v`: every image, container, volume and cache entry with its size. */
import type { SystemDfResponse } from "#client/system-types.ts";
import { containerHeaders, containerRow, formatLabels } from "#cli/container/rows.ts";
import { renderListing } from "#cli/format/listing.ts";
import type { Row } from "#cli/format/listing.ts";
import { ago } from "#cli/format/time.ts";
import { humanSize } from "#cli/format/units.ts";
import { evaluate } from "#cli/template/evaluate.ts";
import { parseTemplate } from "#cli/template/parser.ts";
import { imageHeaders, imageLines, imageRow } from "#cli/image/rows.ts";

const since = (instant: string | null | undefined): string =>
  instant ? ago(Date.parse(instant) / 1000) : "";

const imageRows = (df: SystemDfResponse): Row[] =>
  imageLines(df.Images ?? [], false).map((line) => imageRow(line, true));

const containerRows = (df: SystemDfResponse): Row[] =>
  (df.Containers ?? []).map((container) => containerRow(container, true));

const volumeRows = (df: SystemDfResponse): Row[] =>
  (df.Volumes ?? []).map((volume) => ({
    Name: volume.Name,
    Driver: volume.Driver,
    Scope: volume.Scope,
    Mountpoint: volume.Mountpoint,
    Labels: formatLabels(volume.Labels),
    Links: String(volume.UsageData?.RefCount ?? 0),
    Size: humanSize(volume.UsageData?.Size ?? 0),
  }));

const cacheRows = (df: SystemDfResponse): Row[] =>
  (df.BuildCache ?? []).map((record) => ({
    ID: record.ID.slice(0, 12),
    Type: record.Type,
    Size: humanSize(record.Size),
    Created: since(record.CreatedAt),
    Used: since(record.LastUsedAt),
    Usage: String(record.UsageCount),
    Shared: String(record.Shared),
  }));

const caches = (df: SystemDfResponse): string => {
  const total = (df.BuildCache ?? []).reduce((size, record) => size + record.Size, 0);
  const table = renderListing({
    defaultTemplate:
      "{{.ID}}\t{{.Type}}\t{{.Size}}\t{{.Created}}\t{{.Used}}\t{{.Usage}}\t{{.Shared}}",
    headers: {
      ID: "CACHE ID",
      Type: "CACHE TYPE",
      Size: "SIZE",
      Created: "CREATED",
      Used: "LAST USED",
      Usage: "USAGE",
      Shared: "SHARED",
    },
    rows: cacheRows(df),
  });
  return `Build cache usage: ${humanSize(total)}\n\n${table}`;
};

export const verboseUsage = (df: SystemDfResponse): string => {
  const images = renderListing({
    defaultTemplate:
      "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}",
    headers: imageHeaders,
    rows: imageRows(df),
  });
  const containers = renderListing({
    defaultTemplate:
      "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}",
    headers: containerHeaders,
    rows: containerRows(df),
  });
  const volumes = renderListing({
    defaultTemplate: "{{.Name}}\t{{.Links}}\t{{.Size}}",
    headers: { Name: "VOLUME NAME", Links: "LINKS", Size: "SIZE" },
    rows: volumeRows(df),
  });
  return [
    `Images space usage:\n\n${images}`,
    `Containers space usage:\n\n${containers}`,
    `Local Volumes space usage:\n\n${volumes}`,
    caches(df),
  ].join("\n");
};

/** Every field as the text that a table would show. */
const asTexts = (row: Row): Row =>
  Object.fromEntries(
    Object.entries(row)
      .filter(([name]) => name !== "Label")
      .map(([name, value]): [string, unknown] => [
        name,
        typeof value === "function" ? (value as () => unknown)() : value,
      ])
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );

/** `--format` with `-v`: one object with a list for each kind. */
export const formatUsage = (df: SystemDfResponse, format: string): string => {
  const nodes = parseTemplate(format === "json" ? "{{json .}}" : format);
  const data = {
    Images: imageRows(df).map(asTexts),
    Containers: containerRows(df).map(asTexts),
    Volumes: volumeRows(df).map(asTexts),
    BuildCache: cacheRows(df).map(asTexts),
  };
  return `${evaluate(nodes, data)}\n`;
};
