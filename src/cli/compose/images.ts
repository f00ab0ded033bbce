import { chooseContainers } from "#cli/compose/chosen.ts";
import { shortId } from "#cli/container/rows.ts";
import { ago } from "#cli/format/time.ts";
import { humanSize } from "#cli/format/units.ts";
import { alignColumns } from "#cli/format/table.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { bool, text } from "#cli/framework/flags.ts";

const splitName = (image: string): { repository: string; tag: string } => {
  const colon = image.indexOf(":", image.lastIndexOf("/") + 1);
  return colon < 0
    ? { repository: image, tag: "latest" }
    : { repository: image.slice(0, colon), tag: image.slice(colon + 1) };
};

export const command = defineCommand({
  usage: "[OPTIONS] [SERVICE...]",
  flags: {
    format: text('Format the output: "table" or "json"', undefined, {
      completes: ["table", "json"],
    }),
    quiet: bool("Only display image IDs", "q"),
  },
  args: ANY,
  run: async ({ context, flags, args }) => {
    const { stack, containers } = await chooseContainers(context, args, { hasOneOff: true });
    using _owned = stack;
    const { client } = stack.options;
    const ids = [...new Set(containers.map((container) => container.imageId))];
    if (flags.quiet) {
      for (const id of ids) context.output.line(shortId(id));
      return 0;
    }
    const inspected = new Map(
      await Promise.all(
        ids.map(async (name) => [name, await client.call("imageInspect", { name })] as const),
      ),
    );
    const rows = containers.map((container) => {
      const image = inspected.get(container.imageId);
      return {
        ContainerName: container.name,
        ...splitName(container.image),
        ID: shortId(container.imageId),
        Size: image?.Size ?? 0,
        Created: image?.Created ?? "",
      };
    });
    if (flags.format === "json") {
      context.output.line(JSON.stringify(rows));
      return 0;
    }
    const lines = rows.map((row) =>
      [
        row.ContainerName,
        row.repository,
        row.tag,
        row.ID,
        humanSize(row.Size, 3),
        row.Created === "" ? "N/A" : ago(Date.parse(row.Created) / 1000),
      ].join("\t"),
    );
    const head = "CONTAINER\tREPOSITORY\tTAG\tIMAGE ID\tSIZE\tCREATED";
    context.output.print(alignColumns([head, ...lines]));
    return 0;
  },
});
