/**
 * Who makes sense of a build's text: the built-in frontend, or the program of an image that `# syntax=`, the build
 * argument BUILDKIT_SYNTAX or the client itself names. Any version of docker/dockerfile is the built-in one.
 */
import type { Attributes } from "#api/docker/buildkit/attributes.ts";
import type { runImageFrontend } from "#api/docker/buildkit/frontend-image.ts";
import { type SolveContext, type Solved, solve } from "#api/docker/buildkit/solve.ts";
import { NaruError } from "#lib/errors.ts";
import { isBuiltIn } from "#spec/dockerfile/syntax.ts";

export interface FrontendRequest {
  /** "dockerfile.v0", "gateway.v0". */
  readonly frontend: string;
  readonly attributes: Attributes;
  /** LLB by name. */
  readonly inputs: Readonly<Record<string, Uint8Array>>;
}

const BUILT_IN = "dockerfile.v0";
const GATEWAY = "gateway.v0";

/** Throws not_implemented for others, before any work. */
export const checkFrontend = (frontend: string): void => {
  if (frontend === BUILT_IN || frontend === GATEWAY) return;
  const remedy = `use ${BUILT_IN}, or ${GATEWAY} with an image`;
  throw new NaruError(
    "not_implemented",
    `frontend "${frontend}" is not supported by naru: ${remedy}`,
  );
};

/** The image of a frontend that runs as a program; undefined for the built-in one. */
const imageOf = ({ frontend, attributes }: FrontendRequest): string | undefined => {
  if (frontend === BUILT_IN) return undefined;
  const source = attributes["source"] ?? "";
  if (source === "") {
    throw new NaruError("invalid_argument", `${GATEWAY} needs the option "source": an image`);
  }
  return isBuiltIn(source) ? undefined : source;
};

/** Most builds never need it: loaded with the first program. */
const runProgram: typeof runImageFrontend = async (...args) =>
  (await import("#api/docker/buildkit/frontend-image.ts")).runImageFrontend(...args);

export const solveFrontend = async (
  context: SolveContext,
  request: FrontendRequest,
): Promise<Solved> => {
  checkFrontend(request.frontend);
  const { inputs, attributes } = request;
  const image = imageOf(request);
  if (image !== undefined) return await runProgram(context, image, attributes, inputs);
  const solved = await solve({ ...context, inputs }, attributes);
  if (solved.kind !== "forward") return solved;
  const { source, commandLine } = solved;
  const more = { ...attributes, source, cmdline: commandLine };
  return await runProgram(context, source, more, inputs);
};
