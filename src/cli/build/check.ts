/** Build checks made by the client: for `naru build --check`, and where warnings may be errors. */
import { countOf, shortLine } from "#cli/build/warnings.ts";
import type { LoadedContext } from "#cli/build/local-context.ts";
import type { Output } from "#cli/output.ts";
import type { BuildWarning } from "#client/build-events.ts";
import type { Client } from "#client/client.ts";
import { NaruError, hasCode } from "#lib/errors.ts";
import { checkArgument } from "#spec/dockerfile/check-config.ts";
import {
  type CheckOptions,
  type CheckResult,
  type CheckedImage,
  type Warning,
  checkDockerfile,
} from "#spec/dockerfile/check.ts";
import { parseDockerignore } from "#spec/dockerfile/dockerignore.ts";
import type { Dockerfile } from "#spec/dockerfile/dockerfile.ts";
import { DockerfileError, codeFrame } from "#spec/dockerfile/error.ts";
import { parseDockerfile } from "#spec/dockerfile/parse.ts";
import { baseImages, planDockerfile } from "#spec/dockerfile/plan-graph.ts";
import type { PlanOptions } from "#spec/dockerfile/plan.ts";
import { HOST_PLATFORM, type Platform, parsePlatform } from "#spec/image/platform.ts";

export interface CheckRequest {
  readonly target: string | undefined;
  readonly platform: string | undefined;
  /** null: named without a value. */
  readonly buildArgs: Readonly<Record<string, string | null>>;
  /** Names of named contexts. */
  readonly contexts: readonly string[];
}

const planOptions = (request: CheckRequest): PlanOptions => {
  const given = Object.entries(request.buildArgs).flatMap(([name, value]): [string, string][] =>
    value === null ? [] : [[name, value]],
  );
  const { platform } = request;
  const targetPlatform: Platform = platform === undefined ? HOST_PLATFORM : parsePlatform(platform);
  return {
    target: request.target,
    buildArgs: new Map(given),
    targetPlatform,
    buildPlatform: HOST_PLATFORM,
    contexts: new Set(request.contexts),
  };
};

/** Configs of those base images that the engine has; the others stay unknown. */
const imagesOf = async (
  file: Dockerfile,
  options: PlanOptions,
  client: Client,
): Promise<ReadonlyMap<number, CheckedImage>> => {
  const images = new Map<number, CheckedImage>();
  const bases = baseImages(planDockerfile(file, { ...options, hasAllStages: true }));
  await Promise.all(
    bases.map(async ({ image, stage }) => {
      try {
        const found = await client.call("imageInspect", { name: image.reference });
        images.set(stage, {
          config: found.Config ?? {},
          platform: parsePlatform(`${found.Os}/${found.Architecture}`),
        });
      } catch (error) {
        if (!hasCode(error, "not_found")) throw error;
      }
    }),
  );
  return images;
};

/** The error with its code frame: there is no other place to show it. */
const framed = (error: DockerfileError): NaruError =>
  new NaruError(error.code, `${error.message}\n\n${error.frame}`, { cause: error });

const check = async (
  file: Dockerfile,
  loaded: LoadedContext,
  request: CheckRequest,
  client: Client,
): Promise<CheckResult> => {
  const plan = planOptions(request);
  const config = checkArgument(plan.buildArgs);
  const ignored = parseDockerignore(loaded.directory?.ignore ?? "");
  const options: CheckOptions = { ...plan, ignored, ...(config === undefined ? {} : { config }) };
  try {
    const first = checkDockerfile(file, options);
    // What cannot be planned has no images to ask for.
    if (first.error !== undefined) return first;
    return checkDockerfile(file, { ...options, images: await imagesOf(file, plan, client) });
  } catch (error) {
    throw error instanceof DockerfileError ? framed(error) : error;
  }
};

/** For `--check`. Throws invalid_argument for what is no Dockerfile. */
export const checkContext = async (
  loaded: LoadedContext,
  request: CheckRequest,
  client: Client,
): Promise<CheckResult> => {
  let file: Dockerfile;
  try {
    file = parseDockerfile(loaded.dockerfile.toString("utf8"));
  } catch (error) {
    throw error instanceof DockerfileError ? framed(error) : error;
  }
  return await check(file, loaded, request, client);
};

/** For a build. undefined: it is no Dockerfile, which is the engine's to tell. */
export const checkBuild = async (
  loaded: LoadedContext,
  request: CheckRequest,
  client: Client,
): Promise<CheckResult | undefined> => {
  let file: Dockerfile;
  try {
    file = parseDockerfile(loaded.dockerfile.toString("utf8"));
  } catch (error) {
    if (error instanceof DockerfileError) return undefined;
    throw error;
  }
  return await check(file, loaded, request, client);
};

/** Everything about each, as a compiler would. Returns the exit code. */
export const printChecks = (loaded: LoadedContext, result: CheckResult, output: Output): number => {
  const text = loaded.dockerfile.toString("utf8");
  for (const { rule, message, description, url, range } of result.warnings) {
    output.line(`WARNING: ${rule} (line ${range.start.line})`);
    output.line(message === description ? message : `${message}\n${description}`);
    output.line(`\n${codeFrame(text, range)}\n`);
    if (url !== "") output.line(`${url}\n`);
  }
  if (result.error !== undefined) {
    output.line(`ERROR: ${result.error.message}\n\n${result.error.frame}\n`);
    return 1;
  }
  if (result.warnings.length === 0) output.line("Check complete, no warnings found.");
  else output.line(`Check complete: ${countOf(result.warnings)} found.`);
  return result.warnings.length === 0 ? 0 : 1;
};

/** As an engine tells it. */
export const briefly = ({ rule, message, range }: Warning): BuildWarning => ({
  rule,
  message,
  line: range.start.line,
});

/** Throws failed_precondition when the file or the build says that warnings are errors. */
export const refuseViolations = (result: CheckResult | undefined): void => {
  if (result === undefined || result.violations.length === 0) return;
  const { violations, warnings } = result;
  const lines = warnings.map((one) => shortLine(briefly(one))).join("\n");
  throw new NaruError(
    "failed_precondition",
    `lint violation found for rules: ${violations.join(", ")}\n${lines}`,
  );
};
