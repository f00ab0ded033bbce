/** The changes of a container as `docker diff` lists them, and as a layer tar. */
import type { FileKernel } from "#kernel/kernel.ts";
import { CurrentDirectory } from "#snapshot/current-directory.ts";
import { splitPath } from "#snapshot/directory-cache.ts";
import type { Change, ChangeKind } from "#snapshot/snapshot.ts";
import { TreePacker } from "#snapshot/tree-pack.ts";
import { DIRECTORY_FLAGS, inSteps } from "#snapshot/tree-walk.ts";
import { UpperDiff, type UpperNode } from "#snapshot/upper-diff.ts";
import { OPAQUE_MARKER, WHITEOUT_PREFIX, isDirectory } from "#snapshot/whiteout.ts";

export interface DiffInput {
  readonly kernel: FileKernel;
  readonly upper: string;
  /** Read-only view of everything below; undefined when there is nothing. */
  readonly lower: string | undefined;
  readonly hiddenPaths?: readonly string[];
}

const openInput = (input: DiffInput): { upperFd: number; diff: UpperDiff } & Disposable => {
  const { kernel } = input;
  const upperFd = kernel.openInRoot(input.upper, ".", DIRECTORY_FLAGS);
  let lowerFd: number | undefined;
  const dispose = (): void => {
    kernel.close(upperFd);
    if (lowerFd !== undefined) kernel.close(lowerFd);
  };
  try {
    if (input.lower !== undefined) lowerFd = kernel.openInRoot(input.lower, ".", DIRECTORY_FLAGS);
  } catch (error) {
    kernel.close(upperFd);
    throw error;
  }
  return { upperFd, diff: new UpperDiff(kernel, upperFd, lowerFd), [Symbol.dispose]: dispose };
};

/** The paths and all directories on the way to them, relative. */
const withParents = (paths: readonly string[]): Set<string> => {
  const all = new Set<string>();
  for (const path of paths) {
    const parts = path.split("/").filter((part) => part !== "");
    for (let count = 1; count <= parts.length; count++) all.add(parts.slice(0, count).join("/"));
  }
  return all;
};

/**
 * Leaves out what the runtime added as mount points, directories that hold nothing else, and
 * unchanged directories without a visible content (something was made in them and is gone again).
 */
export const visibleNodes = (
  nodes: readonly UpperNode[],
  hiddenPaths: readonly string[],
): UpperNode[] => {
  const mountPoints = withParents(hiddenPaths);
  const hasVisible = new Set<string>();
  // Content comes after its directory, so from the end each directory knows its content.
  const visible = nodes.toReversed().filter((node) => {
    const isTree = node.stat !== undefined && isDirectory(node.stat);
    const isMade = node.kind === 1 && mountPoints.has(node.path);
    const isUntouched = isTree && node.kind === undefined && !node.isOpaque;
    if ((isMade || isUntouched) && !hasVisible.has(node.path)) return false;
    hasVisible.add(splitPath(node.path)[0]);
    return true;
  });
  return visible.toReversed();
};

/** Sorted by path. Runs in small steps. */
export const listChanges = async (input: DiffInput, signal?: AbortSignal): Promise<Change[]> => {
  using open = openInput(input);
  const nodes: UpperNode[] = [];
  await inSteps(open.diff.nodes(), (node) => nodes.push(node), signal);
  const kinds = new Map<string, ChangeKind>();
  for (const node of visibleNodes(nodes, input.hiddenPaths ?? [])) {
    if (node.kind === undefined) continue;
    kinds.set(node.path, node.kind);
    for (let [parent] = splitPath(node.path); parent !== "" && !kinds.has(parent);) {
      kinds.set(parent, 0);
      [parent] = splitPath(parent);
    }
  }
  return [...kinds]
    .map(([path, kind]) => ({ path: `/${path}`, kind }))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1));
};

export interface DiffTotals {
  sizeBytes: number;
}

/**
 * Chunks of the layer tar: everything the upper directory holds, deletions as whiteouts, in the order
 * of paths. `totals.sizeBytes` is right once the generator has ended. "reused": a chunk is valid until the next.
 */
export function* packDiff(
  input: DiffInput,
  totals: DiffTotals,
  chunks: "kept" | "reused" = "kept",
): Generator<Uint8Array, void> {
  const { kernel } = input;
  using open = openInput(input);
  const packer = new TreePacker(kernel, chunks);
  using directory = new CurrentDirectory(kernel, open.upperFd);
  for (const node of visibleNodes([...open.diff.nodes()], input.hiddenPaths ?? [])) {
    if (node.stat === undefined) continue; // Covered by the opaque marker of its directory.
    const [parent, name] = splitPath(node.path);
    if (node.kind === 2) {
      yield* packer.marker(`${parent === "" ? "" : `${parent}/`}${WHITEOUT_PREFIX}${name}`);
      continue;
    }
    yield* packer.node(node.path, directory.open(parent), name, node.stat);
    if (node.isOpaque) yield* packer.marker(`${node.path}/${OPAQUE_MARKER}`);
  }
  yield* packer.end();
  totals.sizeBytes = packer.sizeBytes;
}
