/** Build checks: `naru build --check`, and what a build tells when it is done. */
import type { LoadedContext } from "#cli/build/local-context.ts";
import type { Output } from "#cli/output.ts";
import type { Client } from "#client/client.ts";
import { NaruError, hasCode } from "#lib/errors.ts";
import { CHECK_ARGUMENT, checkArgument } from "#spec/dockerfile/check-config.ts";
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
): Promise<{ images: ReadonlyMap<number, CheckedImage>; areAll: boolean }> => {
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
  return { images, areAll: images.size === bases.length };
};

/** The error with its code frame: there is no other place to show it. */
const framed = (error: DockerfileError): NaruError =>
  new NaruError(error.code, `${error.message}\n\n${error.frame}`, { cause: error });

const check = async (
  file: Dockerfile,
  loaded: LoadedContext,
  request: CheckRequest,
  client: Client,
): Promise<{ result: CheckResult; isSure: boolean }> => {
  const plan = planOptions(request);
  const config = checkArgument(plan.buildArgs);
  const ignored = parseDockerignore(loaded.directory?.ignore ?? "");
  const options: CheckOptions = { ...plan, ignored, ...(config === undefined ? {} : { config }) };
  try {
    const first = checkDockerfile(file, options);
    // What cannot be planned has no images to ask for.
    if (first.error !== undefined) return { result: first, isSure: true };
    const { images, areAll } = await imagesOf(file, plan, client);
    return { result: checkDockerfile(file, { ...options, images }), isSure: areAll };
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
  return (await check(file, loaded, request, client)).result;
};

export interface BuildCheck {
  /** undefined: it is no Dockerfile, which is the engine's to tell. */
  readonly result: CheckResult | undefined;
  /** Every base image was there, and its variables counted. */
  readonly isSure: boolean;
}

/** For a build. */
export const checkBuild = async (
  loaded: LoadedContext,
  request: CheckRequest,
  client: Client,
): Promise<BuildCheck> => {
  let file: Dockerfile;
  try {
    file = parseDockerfile(loaded.dockerfile.toString("utf8"));
  } catch (error) {
    if (error instanceof DockerfileError) return { result: undefined, isSure: true };
    throw error;
  }
  return await check(file, loaded, request, client);
};

export interface CheckBeside {
  /** Makes it now; what goes wrong goes wrong again in `result`. */
  readonly begin: () => void;
  /** Of the end of the build. `isPulled`: base images may be others than at its beginning. */
  result(isPulled: boolean): Promise<CheckResult | undefined>;
}

/** A build's check made while the engine works, and once more where the base images came only then. */
export const checkBeside = (
  loaded: LoadedContext,
  request: CheckRequest,
  client: Client,
): CheckBeside => {
  let early: Promise<BuildCheck | undefined> | undefined;
  return {
    begin: () => {
      early ??= checkBuild(loaded, request, client).catch(() => undefined);
    },
    result: async (isPulled) => {
      const found = isPulled ? undefined : await early;
      if (found?.isSure === true) return found.result;
      return (await checkBuild(loaded, request, client)).result;
    },
  };
};

const count = (warnings: readonly Warning[]): string =>
  warnings.length === 1 ? "1 warning" : `${warnings.length} warnings`;

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
  else output.line(`Check complete: ${count(result.warnings)} found.`);
  return result.warnings.length === 0 ? 0 : 1;
};

const shortLine = ({ rule, message, range }: Warning): string =>
  ` - ${rule}: ${message} (line ${range.start.line})`;

/** One line for each, below a build's own output. */
export const printWarnings = (result: CheckResult | undefined, output: Output): void => {
  if (result === undefined || result.warnings.length === 0) return;
  output.error(`${count(result.warnings)} found (naru build --check shows all of it):`);
  for (const warning of result.warnings) output.error(shortLine(warning));
};

/** Throws failed_precondition when the file or the build says that warnings are errors. */
export const refuseViolations = (result: CheckResult | undefined): void => {
  if (result === undefined || result.violations.length === 0) return;
  const { violations, warnings } = result;
  const lines = warnings.map(shortLine).join("\n");
  throw new NaruError(
    "failed_precondition",
    `lint violation found for rules: ${violations.join(", ")}\n${lines}`,
  );
};

/** Whether the file or the build may say that warnings are errors. */
export const mayRefuse = (loaded: LoadedContext, request: CheckRequest): boolean =>
  request.buildArgs[CHECK_ARGUMENT] !== undefined ||
  /^\s*#\s*check\s*=/im.test(loaded.dockerfile.toString("utf8"));
