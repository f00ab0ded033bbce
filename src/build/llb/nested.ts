/** The op build: a definition that an operation wrote into a file is solved in its turn. */
import type { LlbOutput, LlbRun, LlbTree } from "#build/llb/run.ts";
import { refuseOp } from "#build/llb/run.ts";
import { ResultFiles } from "#build/result-files.ts";
import { NaruError } from "#lib/errors.ts";
import type { BuildOp } from "#spec/buildkit/llb.gen.ts";
import { type LlbGraph, type LlbVertex, decodeDefinition } from "#spec/buildkit/llb.ts";

/** The only builder there is: this one. */
const LLB_BUILDER = -1n;
const DEFINITION_INPUT = "buildkit.llb.definition";
const FILE_NAME_ATTRIBUTE = "llbbuild.filename";
/** As large as a message that carries a definition. */
const DEFINITION_MAX_BYTES = 16 * 1024 * 1024;

const readDefinition = ({ dependencies }: LlbRun, tree: LlbTree, path: string): Uint8Array => {
  const { kernel, snapshots } = dependencies;
  using files = new ResultFiles(kernel, snapshots.view(tree));
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for (const chunk of files.read(path)) {
    sizeBytes += chunk.length;
    if (sizeBytes > DEFINITION_MAX_BYTES) {
      const reason = `the definition "${path}" has more than ${DEFINITION_MAX_BYTES} bytes`;
      throw new NaruError("resource_exhausted", reason);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
};

/** `solve` solves the graph for the same client. */
export const solveBuild = async (
  run: LlbRun,
  vertex: LlbVertex,
  { builder, inputs, attrs }: BuildOp,
  solve: (graph: LlbGraph) => Promise<LlbTree>,
): Promise<LlbOutput> => {
  if (builder !== LLB_BUILDER) {
    throw refuseOp(vertex, `the builder ${builder} of the op "build"`, "use the LLB builder (-1)");
  }
  const input = inputs[DEFINITION_INPUT];
  if (input === undefined) {
    const reason = `"${vertex.name}" names no input "${DEFINITION_INPUT}"`;
    throw new NaruError("invalid_argument", reason);
  }
  const tree = await run.inputOf(vertex, Number(input.input));
  const path = attrs[FILE_NAME_ATTRIBUTE] || DEFINITION_INPUT;
  const graph = decodeDefinition(readDefinition(run, tree, path));
  return { tree: await solve(graph), isCached: false };
};
