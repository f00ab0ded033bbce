/** The ops merge and diff: layers put on others, and layers taken off again. Nothing is copied. */
import { adoptOn } from "#build/graft.ts";
import { type LlbOutput, type LlbRun, type LlbTree, refuseOp } from "#build/llb/run.ts";
import type { NaruError } from "#lib/errors.ts";
import type { DiffOp, MergeOp } from "#spec/buildkit/llb.gen.ts";
import type { LlbVertex } from "#spec/buildkit/llb.ts";
import type { Digest } from "#spec/image/digest.ts";

/** Lowest first. */
const chainOf = ({ dependencies }: LlbRun, tree: LlbTree): Digest[] =>
  tree === undefined
    ? []
    : dependencies.snapshots
        .chain(tree)
        .map(({ chainId }) => chainId)
        .toReversed();

/** Each layer's own files, one above the other. */
const stack = async (run: LlbRun, layers: readonly Digest[], parent: LlbTree): Promise<LlbTree> => {
  let top = parent;
  for (const layer of layers) {
    top = await adoptOn(run.dependencies, layer, top, run.signal);
    run.held.use(run.solver.hold(top));
  }
  return top;
};

export const solveMerge = async (
  run: LlbRun,
  vertex: LlbVertex,
  op: MergeOp,
): Promise<LlbOutput> => {
  let top: LlbTree;
  for (const [position, { input }] of op.inputs.entries()) {
    if (input < 0n) continue;
    const tree = await run.inputOf(vertex, Number(input));
    top = position === 0 || top === undefined ? tree : await stack(run, chainOf(run, tree), top);
  }
  return { tree: top, isCached: false };
};

const readInput = async (
  run: LlbRun,
  vertex: LlbVertex,
  input: bigint | undefined,
): Promise<LlbTree> =>
  input === undefined || input < 0n ? undefined : await run.inputOf(vertex, Number(input));

export const solveDiff = async (run: LlbRun, vertex: LlbVertex, op: DiffOp): Promise<LlbOutput> => {
  const lower = chainOf(run, await readInput(run, vertex, op.lower?.input));
  const upper = chainOf(run, await readInput(run, vertex, op.upper?.input));
  const standsOn = lower.every((layer, index) => upper[index] === layer);
  if (!standsOn) {
    const what = "a difference between trees of which one does not stand on the other";
    throw refuseOp(vertex, what, "make the upper one from the lower one");
  }
  return { tree: await stack(run, upper.slice(lower.length), undefined), isCached: false };
};

/** Throws for what no other op is. */
export const refuseUnknown = (vertex: LlbVertex): NaruError =>
  refuseOp(
    vertex,
    `the op "${vertex.op.case ?? "unknown"}"`,
    "use source, exec, file, merge, diff",
  );
