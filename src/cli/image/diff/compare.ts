/** Which files two images, or two states of one, do not have in common. Pure. */
import type { LayerFile, SavedLayer } from "#cli/image/explain/archive.ts";

export type FileChange =
  | { readonly kind: "added" | "deleted"; readonly path: string; readonly sizeBytes: number }
  | {
      readonly kind: "changed";
      readonly path: string;
      readonly sizeBytes: number;
      readonly oldSizeBytes: number;
      /** `attributes`: mode, owner, type or a link's target alone. */
      readonly what: "content" | "attributes";
    };

export interface Difference {
  /** In order of paths. */
  readonly changes: readonly FileChange[];
  readonly added: number;
  readonly changed: number;
  readonly deleted: number;
  /** Bytes by which the second state is larger; negative where it is smaller. */
  readonly growthBytes: number;
}

/** What is to be seen, by path without a leading slash. Directories are not counted. */
export type Tree = ReadonlyMap<string, LayerFile>;

/** Whether one of the directories above `path` is in `paths`, as "dir" or as "dir/" (all that is in it). */
const isBelow = (path: string, paths: ReadonlySet<string>): boolean => {
  for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) {
    const directory = path.slice(0, at);
    if (paths.has(directory) || paths.has(`${directory}/`)) return true;
  }
  return paths.has("");
};

/** A layer on top of what is below it: what it takes away goes first, then its own files come. */
export const applyLayer = (below: Tree, { files, removed }: SavedLayer): Tree => {
  const gone = new Set([...removed, ...files.map(({ path }) => path)]);
  const tree = new Map([...below].filter(([path]) => !gone.has(path) && !isBelow(path, gone)));
  for (const file of files) tree.set(file.path, file);
  return tree;
};

export const treeOf = (layers: readonly SavedLayer[]): Tree =>
  layers.reduce<Tree>(applyLayer, new Map());

const changeOf = (
  path: string,
  from: LayerFile | undefined,
  to: LayerFile | undefined,
): FileChange | undefined => {
  if (from === undefined) {
    return to === undefined ? undefined : { kind: "added", path, sizeBytes: to.sizeBytes };
  }
  if (to === undefined) return { kind: "deleted", path, sizeBytes: from.sizeBytes };
  const isSameContent = from.digest === to.digest;
  if (isSameContent && from.attributes === to.attributes) return undefined;
  const { sizeBytes } = to;
  const what = isSameContent ? "attributes" : "content";
  return { kind: "changed", path, sizeBytes, oldSizeBytes: from.sizeBytes, what };
};

const growthOf = (change: FileChange): number => {
  switch (change.kind) {
    case "added":
      return change.sizeBytes;
    case "deleted":
      return -change.sizeBytes;
    case "changed":
      return change.sizeBytes - change.oldSizeBytes;
  }
};

export const compareTrees = (from: Tree, to: Tree): Difference => {
  const paths = [...new Set([...from.keys(), ...to.keys()])].toSorted();
  const changes = paths.flatMap((path) => {
    const change = changeOf(path, from.get(path), to.get(path));
    return change === undefined ? [] : [{ ...change, path: `/${path}` }];
  });
  const count = (kind: FileChange["kind"]): number =>
    changes.filter((change) => change.kind === kind).length;
  return {
    changes,
    added: count("added"),
    changed: count("changed"),
    deleted: count("deleted"),
    growthBytes: changes.reduce((sum, change) => sum + growthOf(change), 0),
  };
};

/** What each layer changes of those below it. */
export const compareLayers = (layers: readonly SavedLayer[]): readonly Difference[] => {
  let below: Tree = new Map();
  return layers.map((layer) => {
    const tree = applyLayer(below, layer);
    const difference = compareTrees(below, tree);
    below = tree;
    return difference;
  });
};
