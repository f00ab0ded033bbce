/**
 * The corpus: small Dockerfiles with what they come to. A file holds cases of one subject:
 *
 *     ===== name
 *     @arg NAME=value      a build argument        @target NAME    the stage to build
 *     @base NAME=value     in the environment of the image "debian"
 *     @onbuild TRIGGER     of the image "debian"   @ignore PATTERN in the .dockerignore
 *     FROM …               the Dockerfile, up to the next line of dashes
 *     -----
 *     what it comes to: stages and steps, the config, warnings; or the error
 *
 * test/peer/dockerfile.ts puts the same Dockerfiles before real Docker engines.
 */
import { Glob } from "bun";
import { readFileSync } from "node:fs";

import { checkDockerfile } from "#spec/dockerfile/check.ts";
import { DockerfileError } from "#spec/dockerfile/error.ts";
import { parseDockerfile } from "#spec/dockerfile/parse.ts";
import { baseImages, planDockerfile } from "#spec/dockerfile/plan-graph.ts";
import { resolveStage } from "#spec/dockerfile/plan-stage.ts";
import type {
  FileOrigin,
  Plan,
  PlanOptions,
  PlannedMount,
  ResolvedStage,
  RunConfig,
  Source,
  Step,
} from "#spec/dockerfile/plan.ts";
import type { StageBase } from "#spec/dockerfile/stage-state.ts";
import { formatPlatform, parsePlatform } from "#spec/image/platform.ts";
import { NaruError } from "#lib/errors.ts";

export interface CorpusCase {
  readonly subject: string;
  readonly name: string;
  readonly options: Readonly<Record<string, readonly string[]>>;
  readonly text: string;
  readonly golden: string;
}

const BEGIN = /^===== /m;
const END = "\n-----\n";
const FOLDER = new URL(".", import.meta.url).pathname;

const parseCase = (subject: string, block: string): CorpusCase => {
  const [head = "", golden = ""] = block.split(END);
  const [name = "", ...lines] = head.split("\n");
  const options: Record<string, string[]> = {};
  while (lines[0]?.startsWith("@") === true) {
    const [key = "", ...value] = (lines.shift() ?? "").slice(1).split(" ");
    (options[key] ??= []).push(value.join(" "));
  }
  return { subject, name, options, text: lines.join("\n"), golden: golden.trimEnd() };
};

export const readCorpus = (): readonly CorpusCase[] =>
  [...new Glob("*.txt").scanSync(FOLDER)].toSorted().flatMap((file) =>
    readFileSync(FOLDER + file, "utf8")
      .split(BEGIN)
      .slice(1)
      .map((block) => parseCase(file.replace(".txt", ""), block)),
  );

const json = (value: unknown): string => JSON.stringify(value);

const showSource = (source: Source): string => {
  if (source.kind === "stage") return `stage ${source.index}`;
  if (source.kind === "image") return `${source.reference} ${formatPlatform(source.platform)}`;
  return source.kind === "named" ? `context ${source.name}` : source.kind;
};

const showOrigin = (origin: FileOrigin): string => {
  if (origin.kind === "path") return origin.path;
  if (origin.kind === "parents") return `${origin.pivot} + ${origin.pattern}`;
  if (origin.kind === "url") return `${origin.url} as ${origin.fileName}`;
  const { git } = origin;
  const flags = [git.keepsGitDir ? "keep" : "", git.checksum, git.hasSubmodules ? "" : "flat"];
  return ["git", git.remote, `#${git.ref}:${git.subdirectory}`, ...flags].filter(Boolean).join(" ");
};

const showMount = ({ type, ...mount }: PlannedMount): string => {
  const { from, ...rest } = "from" in mount ? mount : { from: undefined, ...mount };
  const fields = Object.entries(rest)
    .filter(([, value]) => value !== undefined && value !== false && value !== 0)
    .map(([key, value]) => `${key}=${key === "mode" ? Number(value).toString(8) : String(value)}`);
  const source = from === undefined ? [] : [`from ${showSource(from)}`];
  return `    ${[type, ...fields, ...source].join(" ")}`;
};

const showRun = (step: Extract<Step, { kind: "run" }>): string[] => {
  const env = step.env.filter((pair) => !pair.startsWith("PATH="));
  const facts = [
    step.cwd === "/" ? "" : `in ${step.cwd}`,
    step.user === "" ? "" : `as ${step.user}`,
    env.length > 0 ? `with ${json(env)}` : "",
    step.network === "default" ? "" : `network ${step.network}`,
    step.security === "sandbox" ? "" : step.security,
    step.devices.length > 0 ? json(step.devices) : "",
  ].filter(Boolean);
  const script = step.script === undefined ? [] : [`    script ${json(step.script)}`];
  return [
    [`  run ${json(step.args)}`, ...facts].join(" "),
    ...step.mounts.map(showMount),
    ...script,
  ];
};

const showCopy = (step: Extract<Step, { kind: "copy" }>): string[] => {
  const flags = Object.entries({
    chown: step.chown,
    chmod: step.chmod,
    link: step.isLink || undefined,
    exclude: step.excludes.length > 0 ? step.excludes : undefined,
    checksum: step.checksum,
    unpack: step.unpacksLocal === step.isAdd ? undefined : step.unpacksLocal,
    unpackUrls: step.unpacksUrls || undefined,
  }).filter(([, value]) => value !== undefined);
  const from = step.from.kind === "context" ? "" : ` from ${showSource(step.from)}`;
  const verb = step.isAdd ? "add" : "copy";
  return [
    `  ${verb}${from} -> ${step.destination}${flags.map(([k, v]) => ` ${k}=${json(v)}`).join("")}`,
    ...step.origins.map((origin) => `    ${showOrigin(origin)}`),
    ...step.inlineFiles.map((file) => `    ${file.name} = ${json(file.content)}`),
  ];
};

const showStep = (step: Step): string[] => {
  const mark = step.isTrigger ? ["  (trigger)"] : [];
  if (step.kind === "run") return [...mark, ...showRun(step)];
  if (step.kind === "copy") return [...mark, ...showCopy(step)];
  return [...mark, `  ${step.createdBy}`];
};

/** The image that has what a case says of its base. */
const SPECIAL_BASE = "docker.io/library/debian:latest";

const BASE: RunConfig = { Env: ["PATH=/bin"], Cmd: ["sh"] };

const optionsOf = (item: CorpusCase): PlanOptions => {
  const pairs = (item.options["arg"] ?? []).map((pair): [string, string] => {
    const equals = pair.indexOf("=");
    return [pair.slice(0, equals), pair.slice(equals + 1)];
  });
  const platform = parsePlatform("linux/amd64");
  return {
    target: item.options["target"]?.[0],
    buildArgs: new Map(pairs),
    targetPlatform: platform,
    buildPlatform: platform,
    contexts: new Set(item.options["context"] ?? []),
  };
};

const baseConfig = (item: CorpusCase): RunConfig => ({
  ...BASE,
  Env: ["PATH=/bin", ...(item.options["base"] ?? [])],
});

const planOf = (item: CorpusCase): Plan => {
  const file = parseDockerfile(item.text);
  const options = optionsOf(item);
  const onbuild = item.options["onbuild"];
  if (onbuild === undefined) return planDockerfile(file, options);
  const bare = planDockerfile(file, { ...options, hasAllStages: true });
  const onDebian = baseImages(bare).filter(({ image }) => image.reference === SPECIAL_BASE);
  const triggers = new Map(onDebian.map(({ stage }) => [stage, onbuild]));
  return planDockerfile(file, { ...options, triggers });
};

const resolveAll = (plan: Plan, config: RunConfig): readonly ResolvedStage[] => {
  const done = new Map<number, ResolvedStage>();
  for (const stage of plan.stages) {
    const below = stage.base.kind === "stage" ? done.get(stage.base.index) : undefined;
    const image: StageBase =
      stage.base.kind === "image" ? { kind: "image", config } : { kind: "scratch" };
    const base: StageBase = below === undefined ? image : { kind: "stage", state: below.state };
    done.set(stage.index, resolveStage(plan, stage, base));
  }
  return [...done.values()];
};

/** What differs from the base's own. */
const showConfig = (config: RunConfig, author: string | undefined): string[] => {
  const { Env, Cmd, ArgsEscaped: _, ...rest } = config;
  const env = (Env ?? []).filter((pair) => pair !== "PATH=/bin");
  const cmd = json(Cmd) === json(BASE.Cmd) ? undefined : Cmd;
  const all = { ...rest, Env: env.length > 0 ? env : undefined, Cmd: cmd, author };
  const fields = Object.entries(all).filter(([, value]) => value !== undefined);
  return fields
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}: ${json(value)}`);
};

const showWarnings = (item: CorpusCase): string[] => {
  const file = parseDockerfile(item.text);
  const image = { config: baseConfig(item) };
  const result = checkDockerfile(file, {
    ...optionsOf(item),
    images: new Map(file.stages.map((stage) => [stage.index, image])),
    ignored: item.options["ignore"] ?? [],
  });
  const lines = result.warnings.map(
    (warning) => `${warning.range.start.line} ${warning.rule}: ${warning.message}`,
  );
  return result.violations.length > 0
    ? [...lines, `violated: ${result.violations.join(", ")}`]
    : lines;
};

/** The golden text of a case. */
export const render = (item: CorpusCase): string => {
  try {
    const plan = planOf(item);
    const stages = resolveAll(plan, baseConfig(item));
    const body = stages.flatMap(({ planned, steps }) => [
      `stage ${planned.index} ${json(planned.label)} on ${showSource(planned.base)}`,
      ...steps.flatMap(showStep),
    ]);
    const state = stages.find((stage) => stage.planned.index === plan.target)?.state;
    const config = state === undefined ? [] : showConfig(state.config, state.author);
    return [...body, ...config, ...showWarnings(item)].join("\n");
  } catch (error) {
    if (error instanceof DockerfileError) {
      const { line, column } = error.range.start;
      return `error ${line}:${column} ${error.reason}\n${error.frame}`;
    }
    if (error instanceof NaruError) return `error ${error.message}`;
    throw error;
  }
};

export interface ResolvedCase {
  readonly config: RunConfig;
  readonly images: readonly string[];
  /** A program would run, or files would be copied. */
  readonly hasFiles: boolean;
}

/** What a case comes to, when it is taken. */
export const resolveCase = (item: CorpusCase): ResolvedCase | undefined => {
  try {
    const plan = planOf(item);
    const stages = resolveAll(plan, baseConfig(item));
    const target = stages.find((stage) => stage.planned.index === plan.target);
    const sources = plan.stages.flatMap(({ base, instructions }) => [
      base,
      ...instructions.flatMap((i) => i.sources),
    ]);
    const images = sources.flatMap((s) => (s?.kind === "image" ? [s.reference] : []));
    const kinds = stages.flatMap(({ steps }) => steps.map((step) => step.kind));
    const hasFiles = kinds.includes("run") || kinds.includes("copy");
    return target === undefined ? undefined : { config: target.state.config, images, hasFiles };
  } catch (error) {
    if (error instanceof NaruError) return undefined;
    throw error;
  }
};

/** Writes the goldens anew: to be read before they are kept. */
export const renderFile = (subject: string, cases: readonly CorpusCase[]): string =>
  cases
    .filter((item) => item.subject === subject)
    .map((item) => {
      const options = Object.entries(item.options).flatMap(([key, values]) =>
        values.map((value) => `@${key} ${value}\n`),
      );
      return `===== ${item.name}\n${options.join("")}${item.text}${END}${render(item)}\n`;
    })
    .join("\n");
