import { expect, test } from "bun:test";
import { layerTree, treeLines } from "#cli/image/layer-tree.ts";

const image = (name: string, layers: string, sizeBytes: number) => ({
  name,
  id: name,
  sizeBytes,
  layers: layers.split(""),
});

test("images by what they stand on, with what each adds; layers that only branches share", () => {
  const images = [
    image("app", "abc", 160),
    image("base", "a", 100),
    image("same", "a", 100),
    image("tool", "abd", 130),
    image("other", "x", 50),
    image("empty", "", 0),
  ];
  const lines = treeLines(
    layerTree(images),
    ({ images: here, ownLayers, ownBytes }) =>
      `${here.map(({ name }) => name).join("=") || "-"} ${ownLayers} ${ownBytes ?? "?"}`,
  );
  expect(lines).toEqual([
    "├─ base=same 1 100",
    "│  └─ - 1 ?",
    "│     ├─ app 1 ?",
    "│     └─ tool 1 ?",
    "├─ other 1 50",
    "└─ empty 0 0",
  ]);
});
