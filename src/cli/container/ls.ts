import { containerHeaders, containerRow } from "#cli/container/rows.ts";
import { renderListing } from "#cli/format/listing.ts";
import { defineCommand, NONE } from "#cli/framework/command.ts";
import { bool, filter, format, integer } from "#cli/framework/flags.ts";

const TEMPLATE =
  "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";

const RAW = {
  container_id: "ID",
  image: "Image",
  command: "Command",
  created_at: "CreatedAt",
  state: "State",
  status: "Status",
  names: "Names",
  labels: "Labels",
  ports: "Ports",
};

export const command = defineCommand({
  usage: "[OPTIONS]",
  flags: {
    all: bool("Show all containers, not only running ones", "a"),
    filter: filter(),
    format: format(),
    last: integer("Show n last created containers (of any state)", "n", { shownDefault: "-1" }),
    latest: bool("Show the latest created container (of any state)", "l"),
    "no-trunc": bool("Don't truncate output"),
    quiet: bool("Only display container IDs", "q"),
    size: bool("Display total file sizes", "s"),
  },
  args: NONE,
  run: async ({ context, flags }) => {
    const client = await context.client();
    if (flags.quiet && flags.format !== undefined) {
      context.output.error(
        "WARNING: Ignoring custom format, because both --format and --quiet are set.",
      );
    }
    const chosen =
      flags.quiet && flags.format !== "raw"
        ? undefined
        : (flags.format ?? (await context.config()).psFormat);
    const needsSize = flags.size || /\{\{[^}]*\.Size\b/.test(chosen ?? "");
    const last = flags.latest ? 1 : flags.last;
    const containers = await client.call("containerList", {
      query: {
        all: flags.all || flags.latest || (last !== undefined && last > 0),
        size: needsSize,
        ...(last !== undefined && last > 0 ? { limit: last } : {}),
        ...(Object.keys(flags.filter).length > 0 ? { filters: flags.filter } : {}),
      },
    });
    context.output.print(
      renderListing({
        defaultTemplate: flags.size ? `${TEMPLATE}\t{{.Size}}` : TEMPLATE,
        headers: containerHeaders,
        raw: flags.size ? { ...RAW, size: "Size" } : RAW,
        rows: containers.map((container) => containerRow(container, !flags["no-trunc"])),
        format: chosen,
        quietField: flags.quiet ? "ID" : undefined,
      }),
    );
    return 0;
  },
});
