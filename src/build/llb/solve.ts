/** A graph from its result down: each operation that the result needs runs once, independent ones at the same time. */
import { mkdirSync, rmSync } from "node:fs";
import type { BuildDependencies } from "#build/dependencies.ts";
import { solveBuild } from "#build/llb/nested.ts";
import { solveExec } from "#build/llb/exec.ts";
import { solveFile } from "#build/llb/file.ts";
import { refuseUnknown, solveDiff, solveMerge } from "#build/llb/layers.ts";
import type { LlbRequest } from "#build/llb/llb.ts";
import type { LlbOutput, LlbRun, LlbTree } from "#build/llb/run.ts";
import { solveSource } from "#build/llb/source.ts";
import type { CacheMounts } from "#build/op/cache-mounts.ts";
import type { Solver } from "#build/solver.ts";
import { LayerTrees } from "#build/trees.ts";
import { randomHex } from "#lib/clock.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import type { PassthroughOp } from "#spec/buildkit/llb.gen.ts";
import type { LlbGraph, LlbVertex } from "#spec/buildkit/llb.ts";

interface Rooms {
  readonly dependencies: BuildDependencies;
  readonly solver: Solver;
  readonly cacheMounts: CacheMounts;
}

/** Definitions that were read out of the results of others. */
const DEPTH_MAX = 16;

class GraphRun implements LlbRun {
  readonly dependencies: BuildDependencies;
  readonly solver: Solver;
  readonly cacheMounts: CacheMounts;
  readonly request: LlbRequest;
  readonly held: DisposableStack;
  readonly trees: LayerTrees;
  readonly abort = new AbortController();
  readonly signal: AbortSignal;
  readonly #outputs = new Map<string, Promise<LlbTree>>();
  readonly #processes = new Map<string, Promise<ReadonlyMap<number, LlbTree>>>();

  readonly #depth: number;

  constructor(
    { dependencies, solver, cacheMounts }: Rooms,
    request: LlbRequest,
    held: DisposableStack,
    depth: number,
  ) {
    this.#depth = depth;
    this.dependencies = dependencies;
    this.solver = solver;
    this.cacheMounts = cacheMounts;
    this.request = request;
    this.held = held;
    this.trees = held.use(new LayerTrees(dependencies));
    this.signal = AbortSignal.any([request.signal, this.abort.signal]);
  }

  /** Resolves when every operation that was begun has ended. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#outputs.values());
  }

  outputOf(digest: string, index: number): Promise<LlbTree> {
    const key = `${digest} ${index}`;
    let output = this.#outputs.get(key);
    if (output === undefined) {
      output = this.#solve(digest, index);
      this.#outputs.set(key, output);
      output.catch((error: unknown) => this.abort.abort(error)); // Told by who asked for the result.
    }
    return output;
  }

  inputOf = (vertex: LlbVertex, position: number): Promise<LlbTree> => {
    const edge = vertex.inputs[position];
    if (edge !== undefined) return this.outputOf(edge.digest, edge.index);
    throw new NaruError("invalid_argument", `"${vertex.name}" has no input ${position}`);
  };

  temporaryTree = (name: string): { root: string } => {
    const directory = `${this.dependencies.paths.work}/${name}-${randomHex(8)}`;
    mkdirSync(directory, { mode: 0o700 });
    this.held.defer(() => rmSync(directory, { recursive: true, force: true }));
    return { root: `${directory}/tree` };
  };

  async #solve(digest: string, index: number): Promise<LlbTree> {
    const vertex = this.request.graph.vertices.get(digest);
    if (vertex === undefined) throw new NaruError("invalid_argument", `no operation "${digest}"`);
    // All inputs at once; each is asked for again where it is needed.
    await Promise.all(vertex.inputs.map((edge) => this.outputOf(edge.digest, edge.index)));
    this.signal.throwIfAborted();
    const { onEvent } = this.request;
    await onEvent({ kind: "start", digest });
    try {
      const { tree, isCached } = await this.#perform(vertex, index);
      await onEvent({ kind: "done", digest, isCached });
      return tree;
    } catch (error) {
      if (!this.signal.aborted) {
        await onEvent({ kind: "failed", digest, message: toNaruError(error).message });
      }
      throw error;
    }
  }

  /** A graph within this one: what they hold is let go of together. */
  async #nested(graph: LlbGraph): Promise<LlbTree> {
    if (this.#depth >= DEPTH_MAX) {
      throw new NaruError("invalid_argument", `more than ${DEPTH_MAX} definitions in each other`);
    }
    const request = { ...this.request, graph, signal: this.signal };
    return await solveGraph(this, request, this.held, this.#depth + 1);
  }

  async #passThrough(vertex: LlbVertex, op: PassthroughOp, index: number): Promise<LlbOutput> {
    const input = op.outputs[index];
    if (input === undefined) {
      throw new NaruError("invalid_argument", `"${vertex.name}" has no output ${index}`);
    }
    return { tree: await this.inputOf(vertex, Number(input)), isCached: false };
  }

  #perform(vertex: LlbVertex, index: number): Promise<LlbOutput> | LlbOutput {
    const { op } = vertex;
    switch (op.case) {
      case "source":
        return solveSource(this, vertex, op.value);
      case "exec":
        return solveExec(this, vertex, op.value, index, this.#processes);
      case "file":
        return solveFile(this, vertex, op.value, index);
      case "merge":
        return solveMerge(this, vertex, op.value);
      case "diff":
        return solveDiff(this, vertex, op.value);
      case "build":
        return solveBuild(this, vertex, op.value, (nested) => this.#nested(nested));
      case "passthrough":
        return this.#passThrough(vertex, op.value, index);
      case undefined:
        throw refuseUnknown(vertex);
    }
  }
}

/** Layers of the graph's result. They are held by `held`, which the caller disposes of when it has used them. */
export const solveGraph = async (
  rooms: Rooms,
  request: LlbRequest,
  held: DisposableStack,
  depth = 0,
): Promise<LlbTree> => {
  request.signal.throwIfAborted();
  const { result } = request.graph;
  if (result === undefined) return undefined;
  const run = new GraphRun(rooms, request, held, depth);
  try {
    return await run.outputOf(result.digest, result.index);
  } catch (error) {
    request.signal.throwIfAborted();
    throw run.abort.signal.aborted ? run.abort.signal.reason : error;
  } finally {
    await run.settled();
  }
};
