/** `naru image diff`: the files that two images do not have in common, or that each layer of one changes. */
import type { CliContext } from "#cli/context.ts";
import { defineCommand, type ArgumentCount } from "#cli/framework/command.ts";
import { text } from "#cli/framework/flags.ts";
import { alignColumns } from "#cli/format/table.ts";
import { humanSize } from "#cli/format/units.ts";
import { ellipsis } from "#cli/container/rows.ts";
import type { Difference, FileChange } from "#cli/image/diff/compare.ts";
import type { SavedImage } from "#cli/image/explain/archive.ts";
import { NaruError } from "#lib/errors.ts";
import { historyWithLayers } from "#spec/image/config.ts";

const LETTERS: Readonly<Record<FileChange["kind"], string>> = {
  added: "A",
  changed: "C",
  deleted: "D",
};

const signed = (bytes: number): string =>
  bytes === 0 ? "0B" : `${bytes > 0 ? "+" : "-"}${humanSize(Math.abs(bytes), 3)}`;

const rowOf = (change: FileChange): string => {
  const { kind, path, sizeBytes } = change;
  const size = kind === "deleted" ? `-${humanSize(sizeBytes, 3)}` : humanSize(sizeBytes, 3);
  const note =
    kind !== "changed"
      ? ""
      : change.what === "attributes"
        ? "attributes only"
        : signed(change.sizeBytes - change.oldSizeBytes);
  return `${LETTERS[kind]}\t${size}\t${note}\t${path}`;
};

const summaryOf = ({ added, changed, deleted, growthBytes }: Difference): string =>
  `${added} added, ${changed} changed, ${deleted} deleted, ${signed(growthBytes)}`;

const tableOf = (difference: Difference): string =>
  [
    ...(difference.changes.length === 0
      ? []
      : [alignColumns(["CHANGE\tSIZE\tDIFFERENCE\tPATH", ...difference.changes.map(rowOf)], 4)]),
    `${summaryOf(difference)}\n`,
  ].join("");

/** The platform that the name stands for is sent, not all that the engine has. */
const readImage = async (
  context: CliContext,
  name: string,
  wanted: string | undefined,
): Promise<SavedImage> => {
  const { readSavedImage } = await import("#cli/image/explain/archive.ts");
  const engine = await context.client();
  const query = wanted === undefined ? {} : { platform: wanted };
  const { Architecture, Os, Variant } = await engine.call("imageInspect", { name, query });
  const parts = [Os, Architecture, Variant].filter((part) => part !== undefined && part !== "");
  const platform = parts.length < 2 ? {} : { platform: parts.join("/") };
  const response = await engine.call("imageSave", { query: { names: [name], ...platform } });
  return await readSavedImage(response.body);
};

interface LayerDifference extends Difference {
  readonly layer: number;
  readonly instruction: string;
}

const diffLayers = async ({ config, layers }: SavedImage): Promise<readonly LayerDifference[]> => {
  const { compareLayers } = await import("#cli/image/diff/compare.ts");
  const instructions = historyWithLayers(config).flatMap(({ entry, layerIndex }) =>
    layerIndex === undefined ? [] : [[layerIndex, entry.created_by ?? ""] as const],
  );
  const byLayer = new Map(instructions);
  return compareLayers(layers).map((difference, index) => ({
    layer: index + 1,
    instruction: byLayer.get(index) ?? "",
    ...difference,
  }));
};

const diffImages = async (from: SavedImage, to: SavedImage): Promise<Difference> => {
  const { compareTrees, treeOf } = await import("#cli/image/diff/compare.ts");
  return compareTrees(treeOf(from.layers), treeOf(to.layers));
};

const ONE_OR_TWO: ArgumentCount = { min: 1, max: 2 };

export const command = defineCommand({
  usage: "[OPTIONS] IMAGE [IMAGE]",
  description:
    "Show the files that were added (A), changed (C) and deleted (D) from the first image to the second, with their sizes; " +
    "of one image, what each of its layers changes. Times alone are no change, directories are not listed.",
  flags: {
    format: text("Format of the output: table or json"),
    platform: text("Compare the images for this platform"),
  },
  args: ONE_OR_TWO,
  completes: "images",
  examples: ["naru image diff app:1 app:2", "naru image diff --format json app"],
  run: async ({ context, flags, args }) => {
    const [first = "", second] = args;
    const format = flags.format ?? "table";
    if (format !== "table" && format !== "json") {
      throw new NaruError("invalid_argument", `invalid --format "${format}": use table or json`);
    }
    const from = await readImage(context, first, flags.platform);
    if (second !== undefined) {
      const difference = await diffImages(from, await readImage(context, second, flags.platform));
      const whole = { from: first, to: second, ...difference };
      context.output.print(
        format === "json" ? `${JSON.stringify(whole, undefined, 2)}\n` : tableOf(difference),
      );
      return 0;
    }
    const layers = await diffLayers(from);
    context.output.print(
      format === "json"
        ? `${JSON.stringify({ image: first, layers }, undefined, 2)}\n`
        : layers
            .map(
              (layer) =>
                `Layer ${layer.layer}: ${ellipsis(layer.instruction, 100)}\n${tableOf(layer)}`,
            )
            .join("\n"),
    );
    return 0;
  },
});
