/** Which image stands on which, by the layers they have in common. Pure. */

export interface TreeImage {
  readonly name: string;
  readonly id: string;
  /** Sum of its layers. */
  readonly sizeBytes: number;
  /** diffIDs, lowest first. */
  readonly layers: readonly string[];
}

export interface TreeNode {
  /** Several names where images have the same layers; none for layers that no image ends with. */
  readonly images: readonly TreeImage[];
  /** Layers that this one adds to what it stands on. */
  readonly ownLayers: number;
  /** Bytes that it adds; undefined where no image tells. */
  readonly ownBytes: number | undefined;
  readonly children: readonly TreeNode[];
}

interface Group {
  readonly layers: readonly string[];
  readonly images: readonly TreeImage[];
}

const commonLength = (a: readonly string[], b: readonly string[]): number => {
  const different = a.findIndex((layer, at) => layer !== b[at]);
  return different < 0 ? a.length : different;
};

const bySize = (a: TreeNode, b: TreeNode): number => (b.ownBytes ?? 0) - (a.ownBytes ?? 0);

/** `groups` all have the first `depth` layers in common, which `baseBytes` is the size of, if known. */
const grow = (
  groups: readonly Group[],
  depth: number,
  baseBytes: number | undefined,
): readonly TreeNode[] => {
  const families = Map.groupBy(groups, ({ layers }) => layers[depth] ?? "");
  const nodes = [...families.values()].map((family): TreeNode => {
    const [first, ...others] = family;
    const layers = first?.layers ?? [];
    const length = others.reduce(
      (shortest, other) => Math.min(shortest, commonLength(layers, other.layers)),
      layers.length,
    );
    const here = family.find((group) => group.layers.length === length);
    const sizeBytes = here?.images[0]?.sizeBytes;
    const isKnown = sizeBytes !== undefined && baseBytes !== undefined;
    const above = family.filter((group) => group !== here);
    return {
      images: here?.images ?? [],
      ownLayers: length - depth,
      ownBytes: isKnown ? Math.max(0, sizeBytes - baseBytes) : undefined,
      children: above.length === 0 ? [] : grow(above, length, sizeBytes),
    };
  });
  return nodes.toSorted(bySize);
};

export const layerTree = (images: readonly TreeImage[]): readonly TreeNode[] => {
  const same = Map.groupBy(images, ({ layers }) => layers.join());
  const groups = [...same.values()].map((group) => ({
    layers: group[0]?.layers ?? [],
    images: group.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  }));
  const empty = groups.filter(({ layers }) => layers.length === 0);
  const nodes = grow(
    groups.filter(({ layers }) => layers.length > 0),
    0,
    0,
  );
  const bare = empty.map((group): TreeNode => ({
    images: group.images,
    ownLayers: 0,
    ownBytes: 0,
    children: [],
  }));
  return [...nodes, ...bare];
};

/** As lines with branches; `label` says what stands at a node. */
export const treeLines = (
  nodes: readonly TreeNode[],
  label: (node: TreeNode) => string,
  indent = "",
): string[] =>
  nodes.flatMap((node, at) => {
    const isLast = at === nodes.length - 1;
    return [
      `${indent}${isLast ? "└─ " : "├─ "}${label(node)}`,
      ...treeLines(node.children, label, `${indent}${isLast ? "   " : "│  "}`),
    ];
  });
