import type { SystemDfResponse } from "#client/system-types.ts";
import type { CliContext } from "#cli/context.ts";
import { renderListing } from "#cli/format/listing.ts";
import type { Row } from "#cli/format/listing.ts";
import { humanSize } from "#cli/format/units.ts";
import { defineCommand, NONE } from "#cli/framework/command.ts";
import { isAnswer } from "#client/errors.ts";
import { bool, format } from "#cli/framework/flags.ts";

interface Usage {
  readonly type: string;
  readonly total: number;
  readonly active: number;
  readonly size: number;
  readonly reclaimable: number;
}

const sum = (values: readonly number[]): number =>
  values.reduce((total, value) => total + value, 0);

const ACTIVE_STATES = new Set(["running", "paused", "restarting"]);

/** What each kind uses, and how much of it nothing needs. */
export const usageOf = (df: SystemDfResponse): Usage[] => {
  const images = df.Images ?? [];
  const containers = df.Containers ?? [];
  const volumes = df.Volumes ?? [];
  const caches = df.BuildCache ?? [];
  const used = images.filter((image) => image.Containers > 0);
  const usedSize = sum(
    used.filter((image) => image.SharedSize >= 0).map((image) => image.Size - image.SharedSize),
  );
  const stopped = containers.filter((container) => !ACTIVE_STATES.has(container.State));
  const sizes = (list: typeof containers): number => sum(list.map((item) => item.SizeRw ?? 0));
  const volumeSize = (list: typeof volumes): number =>
    sum(list.map((volume) => Math.max(0, volume.UsageData?.Size ?? 0)));
  const idle = volumes.filter((volume) => (volume.UsageData?.RefCount ?? 0) === 0);
  return [
    {
      type: "Images",
      total: images.length,
      active: used.length,
      size: df.LayersSize,
      reclaimable: Math.max(0, df.LayersSize - usedSize),
    },
    {
      type: "Containers",
      total: containers.length,
      active: containers.length - stopped.length,
      size: sizes(containers),
      reclaimable: sizes(stopped),
    },
    {
      type: "Local Volumes",
      total: volumes.length,
      active: volumes.length - idle.length,
      size: volumeSize(volumes),
      reclaimable: volumeSize(idle),
    },
    {
      type: "Build Cache",
      total: caches.length,
      active: caches.filter((cache) => cache.InUse).length,
      size: sum(caches.map((cache) => cache.Size)),
      reclaimable: sum(caches.filter((c) => !c.InUse && !c.Shared).map((cache) => cache.Size)),
    },
  ];
};

const row = (usage: Usage): Row => ({
  Type: usage.type,
  TotalCount: String(usage.total),
  Active: String(usage.active),
  Size: humanSize(usage.size),
  Reclaimable:
    usage.size > 0
      ? `${humanSize(usage.reclaimable)} (${String(Math.floor((usage.reclaimable * 100) / usage.size))}%)`
      : humanSize(usage.reclaimable),
});

/** What was removed is counted nowhere above, but it takes room until its time is over. */
const tellTrash = async (context: CliContext): Promise<void> => {
  const client = await context.client();
  try {
    const { Items } = await client.call("trashList", {});
    if (Items.length === 0) return;
    const size = humanSize(sum(Items.map((item) => item.Size)));
    context.output.line(
      `\nRemoved, but not gone yet: ${Items.length} with ${size} (naru undo list, naru undo empty)`,
    );
  } catch (error) {
    // Another engine than naru's has no trash.
    if (!isAnswer(error) || error.details["status"] !== 404) throw error;
  }
};

export const command = defineCommand({
  usage: "[OPTIONS]",
  flags: { format: format(), verbose: bool("Show detailed information on space usage", "v") },
  args: NONE,
  run: async ({ context, flags }) => {
    const client = await context.client();
    const df = await client.call("systemDf", {});
    if (flags.verbose) {
      const { formatUsage, verboseUsage } = await import("#cli/system/df-verbose.ts");
      const isTable = flags.format === undefined || flags.format === "table";
      context.output.print(isTable ? verboseUsage(df) : formatUsage(df, flags.format ?? ""));
      return 0;
    }
    context.output.print(
      renderListing({
        defaultTemplate: "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
        headers: {
          Type: "TYPE",
          TotalCount: "TOTAL",
          Active: "ACTIVE",
          Size: "SIZE",
          Reclaimable: "RECLAIMABLE",
        },
        raw: {
          type: "Type",
          total: "TotalCount",
          active: "Active",
          size: "Size",
          reclaimable: "Reclaimable",
        },
        rows: usageOf(df).map(row),
        format: flags.format,
      }),
    );
    if (flags.format === undefined) await tellTrash(context);
    return 0;
  },
});
