/** Build checks: as warnings of a build, and as the answer of `build --check`. */
import type { DockerfileOptions } from "#api/docker/buildkit/attributes.ts";
import type { ReadDockerfile } from "#api/docker/buildkit/inputs.ts";
import type { StatusLog } from "#api/docker/buildkit/status-log.ts";
import { NaruError } from "#lib/errors.ts";
import { type CheckedImages, runChecks } from "#api/docker/build/dockerfile-checks.ts";
import type { CheckResult, Warning } from "#spec/dockerfile/check.ts";
import type { Dockerfile } from "#spec/dockerfile/dockerfile.ts";
import { DockerfileError } from "#spec/dockerfile/error.ts";
import { parseDockerfile } from "#spec/dockerfile/parse.ts";

const checked = (
  images: CheckedImages,
  dockerfile: Dockerfile,
  { target, buildArgs, platforms, contexts }: DockerfileOptions,
): CheckResult =>
  runChecks(images, dockerfile, {
    target,
    buildArgs,
    platform: platforms[0],
    contexts: contexts.keys(),
  });

/** Lines from 1; characters are left out by BuildKit's own checks too. */
const rangeOf = ({ range }: Pick<Warning, "range">) => ({
  start: { line: range.start.line, character: 0 },
  end: { line: range.end.line, character: 0 },
});

/** How many there were. What a check stumbles on is told by the build itself. */
export const tellWarnings = async (
  images: CheckedImages,
  log: StatusLog,
  read: ReadDockerfile,
  dockerfile: Dockerfile,
  options: DockerfileOptions,
): Promise<number> => {
  const { warnings, violations } = checked(images, dockerfile, options);
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
  images: CheckedImages,
  read: ReadDockerfile,
  options: DockerfileOptions,
): ReadonlyMap<string, Uint8Array> => {
  let result: CheckResult;
  try {
    result = checked(images, parseDockerfile(read.text), options);
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
