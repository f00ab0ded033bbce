import { renderListing } from "#cli/format/listing.ts";
import type { Row } from "#cli/format/listing.ts";
import { ago } from "#cli/format/time.ts";
import { humanSize } from "#cli/format/units.ts";
import { defineCommand, ONE } from "#cli/framework/command.ts";
import { bool, enabled, format, text } from "#cli/framework/flags.ts";
import { ellipsis } from "#cli/container/rows.ts";
import { shortImageId } from "#cli/image/rows.ts";
import type { HistoryItem } from "#spec/docker/image.ts";

const TEMPLATE = "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";

const row = (item: HistoryItem, isTruncated: boolean, isHuman: boolean): Row => {
  const instant = new Date(item.Created * 1000).toISOString().replace(/\.\d+Z$/, "Z");
  return {
    ID: () => (isTruncated && item.Id !== "<missing>" ? shortImageId(item.Id) : item.Id),
    CreatedSince: () => (item.Created <= 0 ? "N/A" : isHuman ? ago(item.Created) : instant),
    CreatedAt: () => instant,
    CreatedBy: () => {
      const by = item.CreatedBy.replaceAll("\t", " ");
      return isTruncated ? ellipsis(by, 45) : by;
    },
    Size: () => (isHuman ? humanSize(item.Size, 3) : String(item.Size)),
    Comment: () => item.Comment,
  };
};

export const command = defineCommand({
  usage: "[OPTIONS] IMAGE",
  flags: {
    format: format(),
    human: { ...enabled("Print sizes and dates in human readable format"), short: "H" },
    "no-trunc": bool("Don't truncate output"),
    platform: text("Show history for the given platform"),
    quiet: bool("Only show image IDs", "q"),
  },
  args: ONE,
  completes: "images",
  run: async ({ context, flags, args }) => {
    const [name = ""] = args;
    const client = await context.client();
    const items = await client.call("imageHistory", { name, query: { platform: flags.platform } });
    context.output.print(
      renderListing({
        defaultTemplate: TEMPLATE,
        headers: {
          ID: "IMAGE",
          CreatedSince: "CREATED",
          CreatedAt: "CREATED AT",
          CreatedBy: "CREATED BY",
          Size: "SIZE",
          Comment: "COMMENT",
        },
        rows: items.map((item) => row(item, !flags["no-trunc"], flags.human)),
        format: flags.format,
        quietField: flags.quiet ? "ID" : undefined,
      }),
    );
    return 0;
  },
});
