/** Named contexts that become an image first: results of other builds, and images in a layout of the client's. */
import type { ImageContextSource } from "#api/docker/buildkit/attributes.ts";
import { dropNameless } from "#api/docker/buildkit/export.ts";
import { solveDefinition } from "#api/docker/buildkit/llb.ts";
import { importLayout } from "#api/docker/buildkit/oci-layout.ts";
import type { SolveContext } from "#api/docker/buildkit/solve.ts";
import { stateOf } from "#api/docker/buildkit/state.ts";
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

/** The image has no name and goes when the last of the builds that read it disposes of `images`. */
export const readImageContext = async (
  context: SolveContext,
  source: ImageContextSource,
  held: DisposableStack,
  images: AsyncDisposableStack,
): Promise<NamedContext> => {
  const { backend } = context;
  const { borrowed } = stateOf(backend);
  const before = new Set(
    backend.images.list({ isAll: true, filters: new Map() }).map(({ Id }) => Id),
  );
  const result = await resultOf(context, source, held);
  const { imageId } = result;
  const count = borrowed.get(imageId);
  // One that was here already, and not for other builds alone, stays.
  if (count !== undefined || !before.has(imageId)) {
    borrowed.set(imageId, (count ?? 0) + 1);
    images.defer(() => {
      const left = (borrowed.get(imageId) ?? 1) - 1;
      if (left > 0) return void borrowed.set(imageId, left);
      borrowed.delete(imageId);
      dropNameless(context, { ...result, wasHere: false });
    });
  }
  return { kind: "image", reference: imageId };
};
