/** What `naru build` tells of a Dockerfile when it has built it. */
import { type CheckedImages, runChecks } from "#api/docker/build/dockerfile-checks.ts";
import type { BuildRequest } from "#build/build.ts";
import { parseDockerignore } from "#spec/dockerfile/dockerignore.ts";
import { parseDockerfile } from "#spec/dockerfile/parse.ts";
import { parsePlatform } from "#spec/image/platform.ts";

export interface ChecksWish {
  /** Text of the context's .dockerignore. */
  readonly ignore: string;
}

export interface BuildWarning {
  readonly rule: string;
  readonly message: string;
  readonly line: number;
}

/** To be called after the build: its base images are here by then. `wanted` is the first of several platforms. */
export const checkBuilt = (
  images: CheckedImages,
  { dockerfile, target, buildArgs, platform, namedContexts }: BuildRequest,
  { ignore }: ChecksWish,
  wanted: string | undefined,
): BuildWarning[] => {
  const first = wanted === undefined ? undefined : parsePlatform(wanted);
  const { warnings } = runChecks(images, parseDockerfile(dockerfile), {
    target,
    buildArgs: new Map(
      [...buildArgs].flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    ),
    platform: platform ?? first,
    contexts: namedContexts.keys(),
    ignored: parseDockerignore(ignore),
  });
  return warnings.map(({ rule, message, range }) => ({ rule, message, line: range.start.line }));
};
