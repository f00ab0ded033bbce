/** `system df -v`: every image, container, volume and cache entry with its size. */
import type { SystemDfResponse } from "#client/system-types.ts";
import { containerHeaders, containerRow } from "#cli/container/rows.ts";
import { renderListing } from "#cli/format/listing.ts";
import { ago } from "#cli/format/time.ts";
import { humanSize } from "#cli/format/units.ts";
import { imageHeaders, imageLines, imageRow } from "#cli/image/rows.ts";

const since = (instant: string | null | undefined): string =>
  instant ? ago(Date.parse(instant) / 1000) : "";

const caches = (df: SystemDfResponse): string => {
  const records = df.BuildCache ?? [];
  const total = records.reduce((size, record) => size + record.Size, 0);
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
    rows: records.map((record) => ({
      ID: record.ID.slice(0, 12),
      Type: record.Type,
      Size: humanSize(record.Size),
      Created: since(record.CreatedAt),
      Used: since(record.LastUsedAt),
      Usage: String(record.UsageCount),
      Shared: String(record.Shared),
    })),
  });
  return `Build cache usage: ${humanSize(total)}\n\n${table}`;
};

export const verboseUsage = (df: SystemDfResponse): string => {
  const images = renderListing({
    defaultTemplate:
      "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}",
    headers: imageHeaders,
    rows: imageLines(df.Images ?? [], false).map((line) => imageRow(line, true)),
  });
  const containers = renderListing({
    defaultTemplate:
      "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}",
    headers: containerHeaders,
    rows: (df.Containers ?? []).map((container) => containerRow(container, true)),
  });
  const volumes = renderListing({
    defaultTemplate: "{{.Name}}\t{{.Links}}\t{{.Size}}",
    headers: { Name: "VOLUME NAME", Links: "LINKS", Size: "SIZE" },
    rows: (df.Volumes ?? []).map((volume) => ({
      Name: volume.Name,
      Links: String(volume.UsageData?.RefCount ?? 0),
      Size: humanSize(volume.UsageData?.Size ?? 0),
    })),
  });
  return [
    `Images space usage:\n\n${images}`,
    `Containers space usage:\n\n${containers}`,
    `Local Volumes space usage:\n\n${volumes}`,
    caches(df),
  ].join("\n");
};
