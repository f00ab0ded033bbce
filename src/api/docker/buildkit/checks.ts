/** Build checks: as warnings of a build, and as the answer of `build --check`. */
import type { DockerfileOptions } from "#api/docker/buildkit/attributes.ts";
import type { ReadDockerfile } from "#api/docker/buildkit/inputs.ts";
import type { StatusLog } from "#api/docker/buildkit/status-log.ts";
import { NaruError } from "#lib/errors.ts";
import type { DockerBackend } from "#api/docker/backend.ts";
import { checkArgument } from "#spec/dockerfile/check-config.ts";
import {
  type CheckResult,
  type CheckedImage,
  type Warning,
  checkDockerfile,
} from "#spec/dockerfile/check.ts";
import type { Dockerfile } from "#spec/dockerfile/dockerfile.ts";
import { DockerfileError } from "#spec/dockerfile/error.ts";
import { parseDockerfile } from "#spec/dockerfile/parse.ts";
import { baseImages, planDockerfile } from "#spec/dockerfile/plan-graph.ts";
import type { Plan, PlanOptions } from "#spec/dockerfile/plan.ts";
import { HOST_PLATFORM } from "#spec/image/platform.ts";

type Images = Pick<DockerBackend["images"], "find">;

/** Of the base images that are here, for the wanted platform; what variables others set nobody knows yet. */
const imagesOf = (
  images: Images,
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

const runChecks = (
  images: Images,
  dockerfile: Dockerfile,
  options: DockerfileOptions,
): CheckResult => {
  const plan: PlanOptions = {
    target: options.target,
    buildArgs: options.buildArgs,
    targetPlatform: options.platforms[0] ?? HOST_PLATFORM,
    buildPlatform: HOST_PLATFORM,
    contexts: new Set(options.contexts.keys()),
    hasAllStages: options.target === undefined,
  };
  const config = checkArgument(options.buildArgs);
  return checkDockerfile(dockerfile, {
    ...plan,
    images: imagesOf(images, dockerfile, plan),
    ...(config === undefined ? {} : { config }),
  });
};

/** Lines from 1; characters are left out by BuildKit's own checks too. */
const rangeOf = ({ range }: Pick<Warning, "range">) => ({
  start: { line: range.start.line, character: 0 },
  end: { line: range.end.line, character: 0 },
});

/** How many there were. What a check stumbles on is told by the build itself. */
export const tellWarnings = async (
  images: Images,
  log: StatusLog,
  read: ReadDockerfile,
  dockerfile: Dockerfile,
  options: DockerfileOptions,
): Promise<number> => {
  const { warnings, violations } = runChecks(images, dockerfile, options);
  const info = { filename: read.filename, data: Buffer.from(read.text), language: "Dockerfile" };
  for (const warning of warnings) {
    const short = `${warning.rule}: ${warning.message} (line ${warning.range.start.line})`;
    await log.add({
      warnings: [
        {
          vertex: read.vertex.digest,
          level: 1n,
          short: Buffer.from(short),
          detail: [Buffer.from(warning.description)],
          url: warning.url,
          info,
          ranges: [rangeOf(warning)],
        },
      ],
    });
  }
  if (violations.length > 0) {
    const reason = `lint violation found for rules: ${violations.join(", ")}`;
    throw new NaruError("failed_precondition", reason);
  }
  return warnings.length;
};

const frameOf = (text: string, { range }: Warning, filename: string): string => {
  const rule = "-".repeat(20);
  const lines = text.split("\n");
  const first = Math.max(1, range.start.line - 2);
  const last = Math.min(lines.length, range.end.line + 2);
  const shown: string[] = [];
  for (let number = first; number <= last; number += 1) {
    const mark = number >= range.start.line && number <= range.end.line ? ">>>" : "   ";
    shown.push(` ${String(number).padStart(3)} | ${mark} ${lines[number - 1] ?? ""}`);
  }
  return `${filename}:${range.start.line}\n${rule}\n${shown.join("\n")}\n${rule}\n`;
};

const textOf = (read: ReadDockerfile, warnings: readonly Warning[]): string =>
  warnings
    .map((warning) => {
      const head = `\nWARNING: ${warning.rule} - ${warning.url}\n${warning.message}\n`;
      return `${head}\n${frameOf(read.text, warning, read.filename)}\n`;
    })
    .join("");

/** The answer of the subrequest frontend.lint. */
export const checkOf = (
  images: Images,
  read: ReadDockerfile,
  options: DockerfileOptions,
): ReadonlyMap<string, Uint8Array> => {
  let result: CheckResult;
  try {
    result = runChecks(images, parseDockerfile(read.text), options);
  } catch (error) {
    if (!(error instanceof DockerfileError)) throw error;
    result = { warnings: [], error, violations: [] };
  }
  const { warnings, error } = result;
  const json = {
    warnings: warnings.map((warning) => ({
      ruleName: warning.rule,
      description: warning.description,
      url: warning.url,
      detail: warning.message,
      location: { ranges: [rangeOf(warning)] },
    })),
    sources: [
      {
        filename: read.filename,
        data: Buffer.from(read.text).toString("base64"),
        language: "Dockerfile",
      },
    ],
    ...(error === undefined
      ? {}
      : { buildError: { message: error.message, location: { ranges: [rangeOf(error)] } } }),
  };
  const hasFindings = warnings.length > 0 || error !== undefined;
  const entries: Record<string, string> = {
    "result.json": JSON.stringify(json, undefined, 2),
    "result.txt": textOf(read, warnings),
    "result.statuscode": hasFindings ? "1" : "0",
    version: "1.0.0",
  };
  return new Map(Object.entries(entries).map(([key, text]) => [key, Buffer.from(text)]));
};
