import { formatLabels } from "#cli/container/rows.ts";
import { renderListing } from "#cli/format/listing.ts";
import type { Row } from "#cli/format/listing.ts";
import { humanSize } from "#cli/format/units.ts";
import { defineCommand, NONE } from "#cli/framework/command.ts";
import { bool, filter, format } from "#cli/framework/flags.ts";
import type { VolumeResponse } from "#spec/docker/volume.ts";

const row = (volume: VolumeResponse): Row => ({
  Name: () => volume.Name,
  Driver: () => volume.Driver,
  Scope: () => volume.Scope,
  Mountpoint: () => volume.Mountpoint,
  Labels: () => formatLabels(volume.Labels),
  Label: (name: unknown) => volume.Labels?.[String(name)] ?? "",
  Links: () => String(volume.UsageData?.RefCount ?? "N/A"),
  // Of volumes of a Swarm cluster alone.
  Status: () => "N/A",
  Availability: () => "N/A",
  Group: () => "N/A",
  Size: () => (volume.UsageData === undefined ? "N/A" : humanSize(volume.UsageData.Size)),
});

export const command = defineCommand({
  usage: "[OPTIONS]",
  flags: {
    filter: filter('Provide filter values (e.g. "dangling=true")'),
    format: format(),
    quiet: bool("Only display volume names", "q"),
  },
  args: NONE,
  run: async ({ context, flags }) => {
    const client = await context.client();
    const answer = await client.call("volumeList", {
      query: Object.keys(flags.filter).length > 0 ? { filters: flags.filter } : {},
    });
    const volumes = (answer.Volumes ?? []).toSorted((a, b) => a.Name.localeCompare(b.Name));
    context.output.print(
      renderListing({
        defaultTemplate: "{{.Driver}}\t{{.Name}}",
        headers: {
          Name: "VOLUME NAME",
          Driver: "DRIVER",
          Scope: "SCOPE",
          Mountpoint: "MOUNTPOINT",
          Labels: "LABELS",
          Links: "LINKS",
          Size: "SIZE",
          Status: "STATUS",
          Availability: "AVAILABILITY",
          Group: "GROUP",
        },
        raw: { name: "Name", driver: "Driver" },
        rows: volumes.map(row),
        format: flags.format ?? (flags.quiet ? undefined : (await context.config()).volumesFormat),
        quietField: flags.quiet ? "Name" : undefined,
      }),
    );
    return 0;
  },
});
