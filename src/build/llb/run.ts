/** What the operations of one graph share. */
import type { BuildDependencies } from "#build/dependencies.ts";
import type { LlbRequest } from "#build/llb/llb.ts";
import type { CacheMounts } from "#build/op/cache-mounts.ts";
import type { InputDigest } from "#build/op/tree-digest.ts";
import type { Solver, Vertex } from "#build/solver.ts";
import type { LayerTrees } from "#build/trees.ts";
import { NaruError } from "#lib/errors.ts";
import type { LlbVertex } from "#spec/buildkit/llb.ts";
import type { Digest } from "#spec/image/digest.ts";

/** An output: layers, topmost first known by their chainID; undefined for an empty tree. */
export type LlbTree = Digest | undefined;

export interface LlbRun {
  readonly dependencies: BuildDependencies;
  readonly request: LlbRequest;
  readonly solver: Solver;
  readonly cacheMounts: CacheMounts;
  readonly trees: LayerTrees;
  readonly held: DisposableStack;
  readonly signal: AbortSignal;
  /** The vertex's input at that place of its list, solved. */
  inputOf(vertex: LlbVertex, position: number): Promise<LlbTree>;
  temporaryTree(name: string): { root: string };
}

export interface LlbOutput {
  readonly tree: LlbTree;
  readonly isCached: boolean;
}

/** The digest of layers: what they hold never changes. */
export const layersInput = (tree: LlbTree): InputDigest => ({
  digest: tree ?? "",
  files: new Map(),
  sizeBytes: Number.POSITIVE_INFINITY,
});

export const solveVertex = async (
  { solver, request, held, signal }: LlbRun,
  of: LlbVertex,
  vertex: Vertex,
): Promise<LlbOutput> => {
  const { digest } = of;
  const solved = await solver.solve(vertex, {
    step: `llb|${of.name.slice(0, 200)}`,
    isCacheIgnored: of.metadata?.ignoreCache === true,
    signal,
    onRun: () => undefined,
    onOutput: (stream, bytes) => request.onEvent({ kind: "output", digest, stream, bytes }),
  });
  held.use(solver.hold(solved.chainId));
  return { tree: solved.chainId, isCached: solved.isCached };
};

export const refuseOp = ({ name }: LlbVertex, what: string, remedy: string): NaruError =>
  new NaruError("not_implemented", `${what} ("${name}") is not supported by naru: ${remedy}`);
