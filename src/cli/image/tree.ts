import { defineCommand, upTo } from "#cli/framework/command.ts";
import { bool } from "#cli/framework/flags.ts";
import { humanSize } from "#cli/format/units.ts";
import { type TreeNode, layerTree, treeLines } from "#cli/image/layer-tree.ts";

const shortId = (id: string): string => id.replace(/^sha256:/, "").slice(0, 12);

const layersText = (count: number): string => `${count} ${count === 1 ? "layer" : "layers"}`;

const labelOf =
  (isWhole: boolean) =>
  ({ images, ownBytes, ownLayers }: TreeNode): string => {
    const added = `${layersText(ownLayers)}${ownBytes === undefined ? "" : `, ${humanSize(ownBytes)}`}`;
    if (images.length === 0) return `(${added}, shared)`;
    const names = images.map(({ id, name }) => `${name} ${isWhole ? id : shortId(id)}`);
    return `${names.join(" = ")}  (${added})`;
  };

export const command = defineCommand({
  usage: "[OPTIONS] [REPOSITORY[:TAG]]",
  description:
    "Show which images stand on the same layers, and what each adds. Images with the same layers stand on one line.",
  flags: {
    all: bool("Also images without a name", "a"),
    "no-trunc": bool("Don't truncate ids"),
  },
  args: upTo(1),
  completes: "images",
  run: async ({ context, flags, args }) => {
    const [reference] = args;
    const client = await context.client();
    const images = await client.call("imageList", {
      query: {
        all: flags.all,
        ...(reference === undefined ? {} : { filters: { reference: [reference] } }),
      },
    });
    const known = await Promise.all(
      images.map(async (image) => {
        const { RootFS } = await client.call("imageInspect", { name: image.Id });
        return {
          id: image.Id,
          name: image.RepoTags.join(", ") || (image.RepoDigests[0] ?? "<none>"),
          sizeBytes: image.Size,
          layers: RootFS.Layers,
        };
      }),
    );
    const lines = treeLines(layerTree(known), labelOf(flags["no-trunc"]));
    context.output.print(lines.map((line) => `${line}\n`).join(""));
    return 0;
  },
});
