/** Build checks with what this engine's images say: of builds by BuildKit's API and by naru's own. */
import type { DockerBackend } from "#api/docker/backend.ts";
import { checkArgument } from "#spec/dockerfile/check-config.ts";
import { type CheckResult, type CheckedImage, checkDockerfile } from "#spec/dockerfile/check.ts";
import type { Dockerfile } from "#spec/dockerfile/dockerfile.ts";
import { DockerfileError } from "#spec/dockerfile/error.ts";
import { baseImages, planDockerfile } from "#spec/dockerfile/plan-graph.ts";
import type { Plan, PlanOptions } from "#spec/dockerfile/plan.ts";
import { HOST_PLATFORM, type Platform } from "#spec/image/platform.ts";

export type CheckedImages = Pick<DockerBackend["images"], "find">;

export interface DockerfileCheck {
  readonly target: string | undefined;
  readonly buildArgs: ReadonlyMap<string, string>;
  /** The host's where absent. */
  readonly platform: Platform | undefined;
  /** Names of named contexts. */
  readonly contexts: Iterable<string>;
  /** Patterns of the .dockerignore. */
  readonly ignored?: readonly string[];
}

/** Of the base images that are here, for the wanted platform; what variables others set nobody knows yet. */
const imagesOf = (
  images: CheckedImages,
  dockerfile: Dockerfile,
  options: PlanOptions,
): ReadonlyMap<number, CheckedImage> => {
  const found = new Map<number, CheckedImage>();
  let plan: Plan;
  try {
    plan = planDockerfile(dockerfile, options);
  } catch (error) {
    // The checks themselves tell of it.
    if (error instanceof DockerfileError) return found;
    throw error;
  }
  for (const { image, stage } of baseImages(plan)) {
    const wanted = plan.stages.find(({ index }) => index === stage)?.platform;
    const record = images.find(image.reference, wanted);
    if (record !== undefined) found.set(stage, { config: record.config.config ?? {} });
  }
  return found;
};

/** Throws DockerfileError for a `# check=` that cannot be read. */
export const runChecks = (
  images: CheckedImages,
  dockerfile: Dockerfile,
  { target, buildArgs, platform, contexts, ignored = [] }: DockerfileCheck,
): CheckResult => {
  const plan: PlanOptions = {
    target,
    buildArgs,
    targetPlatform: platform ?? HOST_PLATFORM,
    buildPlatform: HOST_PLATFORM,
    contexts: new Set(contexts),
    hasAllStages: target === undefined,
  };
  const config = checkArgument(buildArgs);
  return checkDockerfile(dockerfile, {
    ...plan,
    ignored,
    images: imagesOf(images, dockerfile, plan),
    ...(config === undefined ? {} : { config }),
  });
};
