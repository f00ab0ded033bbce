import { chooseContainers } from "#cli/compose/chosen.ts";
import { shortId } from "#cli/container/rows.ts";
import { ago } from "#cli/format/time.ts";
import { humanSize } from "#cli/format/units.ts";
import { alignColumns } from "#cli/format/table.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { bool, text } from "#cli/framework/flags.ts";
import type { ImageInspect } from "#spec/docker/image.ts";

const splitName = (image: string): { Repository: string; Tag: string } => {
  const colon = image.indexOf(":", image.lastIndexOf("/") + 1);
  return colon < 0
    ? { Repository: image, Tag: "latest" }
    : { Repository: image.slice(0, colon), Tag: image.slice(colon + 1) };
};

const platformOf = (image: ImageInspect | undefined): string =>
  image === undefined
    ? ""
    : [image.Os, image.Architecture, image.Variant].filter((part) => (part ?? "") !== "").join("/");

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
    const { stack, containers } = await chooseContainers(context, args, {
      hasOneOff: true,
      isOnlyShown: true,
    });
    using _owned = stack;
    const { client } = stack.options;
    const ids = [...new Set(containers.map((container) => container.imageId))];
    if (flags.quiet) {
      for (const id of ids) context.output.line(id.replace(/^sha256:/, ""));
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
        ID: container.imageId,
        ContainerName: container.name,
        ...splitName(container.image),
        Platform: platformOf(image),
        Size: image?.Size ?? 0,
        LastTagTime: image?.Metadata.LastTagTime ?? "",
      };
    });
    if (flags.format === "json") {
      context.output.line(JSON.stringify(rows));
      return 0;
    }
    const lines = rows.map((row) =>
      [
        row.ContainerName,
        row.Repository,
        row.Tag,
        row.Platform,
        shortId(row.ID),
        humanSize(row.Size, 3),
        Date.parse(row.LastTagTime) > 0 ? ago(Date.parse(row.LastTagTime) / 1000) : "N/A",
      ].join("\t"),
    );
    const head = "CONTAINER\tREPOSITORY\tTAG\tPLATFORM\tIMAGE ID\tSIZE\tCREATED";
    context.output.print(alignColumns([head, ...lines]));
    return 0;
  },
});
