/** The last step: a stage's state becomes an image with its names. */
import type { BuildRequest, BuildResult } from "#build/build.ts";
import type { BuildDependencies } from "#build/dependencies.ts";
import { type StageState, type StepImage, chainOf } from "#build/state.ts";
import { NaruError } from "#lib/errors.ts";
import { failpoint } from "#lib/failpoint.ts";
import type { StoredImage } from "#image/image.ts";
import { parseImageConfig } from "#spec/image/config.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";
import { familiarString, parseReference, withDefaultTag } from "#spec/image/reference.ts";

/** "repo" → "repo:latest". Throws invalid_argument before any work is done. */
export const checkTag = (text: string): string => {
  const reference = parseReference(text);
  if (reference.digest !== undefined) {
    throw new NaruError(
      "invalid_argument",
      `invalid tag "${text}": refusing to create a tag with a digest reference`,
    );
  }
  return familiarString(withDefaultTag(reference));
};

const storedLayers = (
  { snapshots }: BuildDependencies,
  diffIds: readonly Digest[],
): StoredImage["layers"] => {
  const chain = chainOf(diffIds);
  return diffIds.map((diffId, index) => {
    const chainId = chain[index];
    const layer = chainId === undefined ? undefined : snapshots.layer(chainId);
    return { diffId, sizeBytes: layer?.sizeBytes ?? 0, blobs: [] };
  });
};

const register = (
  dependencies: BuildDependencies,
  { text, parent, diffIds }: StepImage,
  references: readonly string[],
): void => {
  const layers = storedLayers(dependencies, diffIds);
  dependencies.images.register(
    { configText: text, layers, ...(parent === undefined ? {} : { parent }) },
    references,
  );
};

/** An image without a name, of layers that are here. */
export const registerLayers = (
  dependencies: BuildDependencies,
  image: Omit<StepImage, "id">,
): void => register(dependencies, { ...image, id: digestOf(image.text) }, []);

/** Images of the finished steps, without a name. */
export const registerSteps = (dependencies: BuildDependencies, state: StageState): void => {
  for (const step of state.steps) register(dependencies, step, []);
};

/** An image of layers that are here, without a name. */
export const registerConfig = (dependencies: BuildDependencies, configText: string): Digest => {
  const { diff_ids: diffIds } = parseImageConfig(configText).rootfs;
  const layers = storedLayers(dependencies, diffIds);
  return dependencies.images.register({ configText, layers }, []);
};

/** Layers are on the disk when this resolves. */
export const exportImage = async (
  dependencies: BuildDependencies,
  request: BuildRequest,
  state: StageState,
): Promise<Pick<BuildResult, "imageId" | "tags" | "chainId" | "wasHere">> => {
  const { image } = state;
  if (image === undefined) {
    throw new NaruError("invalid_argument", "No image was generated. Is your Dockerfile empty?");
  }
  const tags = request.tags.map(checkTag);
  failpoint("build.before-image");
  const wasHere = dependencies.images.find(image.id) !== undefined;
  const last = state.steps.at(-1);
  if (last === undefined) {
    // Nothing but a FROM: the base itself gets the names.
    const record = dependencies.images.get(image.id);
    const { diff_ids: diffIds } = record.config.rootfs;
    register(dependencies, { ...image, parent: record.parent, diffIds }, tags);
  } else {
    if (request.keepsStepImages) {
      for (const step of state.steps.slice(0, -1)) {
        // What a cached step gives is here already.
        if (dependencies.images.find(step.id) === undefined) register(dependencies, step, []);
      }
    }
    const parent = request.keepsStepImages ? last.parent : undefined;
    register(dependencies, { ...last, parent }, tags);
  }
  return { imageId: image.id, tags, chainId: state.chainId, wasHere };
};
