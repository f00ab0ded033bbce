/** Named contexts that become an image first: results of other builds, and images in a layout of the client's. */
import type { ImageContextSource } from "#api/docker/buildkit/attributes.ts";
import { dropNameless } from "#api/docker/buildkit/export.ts";
import { solveDefinition } from "#api/docker/buildkit/llb.ts";
import { importLayout } from "#api/docker/buildkit/oci-layout.ts";
import type { SolveContext } from "#api/docker/buildkit/solve.ts";
import type { BuildResult, NamedContext } from "#build/build.ts";
import { NaruError } from "#lib/errors.ts";

const resultOf = async (
  context: SolveContext,
  source: ImageContextSource,
  held: DisposableStack,
): Promise<BuildResult> => {
  const builds = await context.backend.builds();
  const { session, signal, inputs = {} } = context;
  if (source.kind === "layout") {
    return await importLayout(builds, session, source.store, source.digest, undefined, signal);
  }
  const definition = inputs[source.name];
  if (definition === undefined) {
    throw new NaruError("invalid_argument", `the input "${source.name}" did not come along`);
  }
  const chainId = await solveDefinition(context, definition, held);
  return builds.imageOf(chainId, source.configText);
};

/** The image has no name. One that was not here before goes when no build is running any more. */
export const readImageContext = async (
  context: SolveContext,
  source: ImageContextSource,
  held: DisposableStack,
): Promise<NamedContext> => {
  const result = await resultOf(context, source, held);
  dropNameless(context, result);
  return { kind: "image", reference: result.imageId };
};
