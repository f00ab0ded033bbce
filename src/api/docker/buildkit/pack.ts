/** Results of a build as one bundle: an image, or an index over platforms and what is attested of each. */
import { attestationsOf, isAttested } from "#api/docker/buildkit/attested.ts";
import { type ImageOutput, annotationsFor } from "#api/docker/buildkit/export-options.ts";
import type { SolveContext } from "#api/docker/buildkit/solve.ts";
import type { BuildResult } from "#build/build.ts";
import type { Bundle } from "#image/bundle.ts";
import { type IndexPart, indexBundle, platformBody } from "#image/bundle-index.ts";

export interface Packed extends Disposable {
  readonly bundle: Bundle;
  readonly isIndex: boolean;
}

export const resultsOf = (result: BuildResult): readonly BuildResult[] => [
  result,
  ...(result.others ?? []),
];

/** Several platforms, or one that is to look like one of several. */
export const hasPlatforms = ({ job }: SolveContext, { others = [] }: BuildResult): boolean =>
  others.length > 0 || job.attributes["multi-platform"] === "true";

/** An index has to stand above the image. */
export const needsIndex = (
  context: SolveContext,
  result: BuildResult,
  { hasInline }: Pick<ImageOutput, "hasInline">,
): boolean => hasPlatforms(context, result) || isAttested(context, result, hasInline);

export const pack = async (
  context: SolveContext,
  result: BuildResult,
  output: ImageOutput,
): Promise<Packed> => {
  const { backend, signal } = context;
  const bundles = await backend.images.bundles();
  using undo = new DisposableStack();
  const isIndex = needsIndex(context, result, output);
  const parts: IndexPart[] = [];
  for (const one of resultsOf(result)) {
    const { configText } = backend.images.get(one.imageId);
    const format = {
      ...output.format,
      // What is attested, and several platforms, are OCI's.
      isOci: output.format.isOci || isIndex,
      annotations: annotationsFor(output, "manifest", one.platform),
    };
    const image = undo.use(await bundles.image(configText, format, signal));
    parts.push({
      bundle: image.bundle,
      platform: one.platform,
      attestations: isIndex ? await attestationsOf(context, one, output.hasInline) : [],
      annotations: annotationsFor(output, "manifest-descriptor", one.platform),
    });
  }
  const [only] = parts;
  const bundle =
    isIndex || only === undefined
      ? indexBundle(parts, output.names, annotationsFor(output, "index"))
      : {
          ...only.bundle,
          root: { ...only.bundle.root, platform: platformBody(only.platform) },
        };
  const held = undo.move();
  return { bundle, isIndex, [Symbol.dispose]: () => held[Symbol.dispose]() };
};
