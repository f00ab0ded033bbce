/** Questions in place of a build: what a Dockerfile's targets are, and what one of them takes. */
import type { DockerfileOptions } from "#api/docker/buildkit/attributes.ts";
import { checkOf } from "#api/docker/buildkit/checks.ts";
import type { ReadDockerfile } from "#api/docker/buildkit/inputs.ts";
import { NaruError } from "#lib/errors.ts";
import type {
  ArgInstruction,
  Dockerfile,
  Mount,
  RunInstruction,
  SourceRange,
  Stage,
} from "#spec/dockerfile/dockerfile.ts";
import { parseMount } from "#spec/dockerfile/mount.ts";
import { Complaint } from "#spec/dockerfile/error.ts";
import { expandWord } from "#spec/dockerfile/expand.ts";
import { parseDockerfile } from "#spec/dockerfile/parse.ts";
import { planDockerfile } from "#spec/dockerfile/plan-graph.ts";
import { HOST_PLATFORM } from "#spec/image/platform.ts";

/** A comment above that begins with the name describes it. */
const descriptionOf = (comments: readonly string[], name: string): string => {
  if (name === "") return "";
  const found = comments.map((line) => line.trim()).find((line) => line.startsWith(`${name} `));
  return found?.slice(name.length + 1).trim() ?? "";
};

const locationOf = ({ start, end }: SourceRange) => ({
  ranges: [{ start: { line: start.line }, end: { line: end.line } }],
});

/** Empty texts and false are left out, as clients expect. */
const compact = <T extends object>(value: T): Partial<T> =>
  Object.fromEntries(
    Object.entries(value).filter(([, one]) => one !== "" && one !== false),
  ) as Partial<T>;

const table = (rows: readonly (readonly string[])[]): string => {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]): string =>
    row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join(" ");
  return `${rows.map(line).join("\n")}\n`;
};

interface Told {
  readonly json: object;
  readonly text: string;
}

const targetsOf = ({ stages, text }: Dockerfile): Told => {
  const targets = stages.map((stage) => ({
    name: stage.name ?? "",
    default: stage.index === stages.length - 1,
    description: descriptionOf(stage.from.comments, stage.from.as?.text ?? ""),
    base: stage.from.base.text,
    platform: stage.from.platform?.text ?? "",
    location: locationOf(stage.from.range),
  }));
  const rows = targets.map(({ name, default: isDefault, description }) => [
    [name, ...(isDefault ? ["(default)"] : [])].filter((word) => word !== "").join(" "),
    description,
  ]);
  return {
    json: { targets: targets.map(compact), sources: [Buffer.from(text).toString("base64")] },
    text: table([["TARGET", "DESCRIPTION"], ...rows]),
  };
};

interface OutlinedArg {
  readonly name: string;
  readonly value: string;
  readonly description: string;
  readonly location: object;
}

const argsOf = (
  instructions: readonly ArgInstruction[],
  options: DockerfileOptions,
  globals: ReadonlyMap<string, string>,
  areGlobal: boolean,
): OutlinedArg[] => {
  const known = new Map<string, string>();
  const expanded = (text: string): string => {
    try {
      return expandWord(text, (name) => known.get(name)).text;
    } catch (error) {
      // What the build itself would refuse is shown as it is written.
      if (error instanceof Complaint) return text;
      throw error;
    }
  };
  return instructions.flatMap(({ args, comments, range }) =>
    args.map(({ key, value }) => {
      const written = value === undefined || areGlobal ? undefined : expanded(value.text);
      const own = options.buildArgs.get(key.text) ?? written ?? globals.get(key.text) ?? "";
      known.set(key.text, own);
      return {
        name: key.text,
        value: own,
        description: descriptionOf(comments, key.text),
        location: locationOf(range),
      };
    }),
  );
};

const isRun = (one: Stage["instructions"][number]): one is RunInstruction => one.name === "RUN";
const isArg = (one: Stage["instructions"][number]): one is ArgInstruction => one.name === "ARG";

interface Wanted {
  readonly name: string;
  readonly required: boolean;
  readonly location: object;
}

/** By name, the first that wants it; required where any of them requires it. */
const mountsOf = (
  stages: readonly Stage[],
  type: "secret" | "ssh",
  nameOf: (mount: Mount) => string,
): Wanted[] => {
  const found = new Map<string, Wanted>();
  for (const run of stages.flatMap(({ instructions }) => instructions.filter(isRun))) {
    for (const word of run.mounts) {
      const mount = parseMount(word.text);
      if (mount.type !== type) continue;
      const name = nameOf(mount);
      const required = mount.isRequired || found.get(name)?.required === true;
      const location = found.get(name)?.location ?? locationOf(run.range);
      found.set(name, { name, required, location });
    }
  }
  return [...found.values()];
};

const lastPart = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

const section = (title: string, rows: readonly Wanted[]): string =>
  rows.length === 0
    ? ""
    : `\n${table([
        [title, "REQUIRED"],
        ...rows.map(({ name, required }) => [name, required ? "true" : ""]),
      ])}`;

const outlineOf = (dockerfile: Dockerfile, options: DockerfileOptions): Told => {
  const plan = planDockerfile(dockerfile, {
    target: options.target,
    buildArgs: options.buildArgs,
    targetPlatform: HOST_PLATFORM,
    buildPlatform: HOST_PLATFORM,
    contexts: new Set(options.contexts.keys()),
  });
  const stages = plan.stages.flatMap(({ index }) => dockerfile.stages[index] ?? []);
  const target = dockerfile.stages[plan.target];
  const froms = stages
    .map(({ from }) => `${from.base.text} ${from.platform?.text ?? ""}`)
    .join(" ");
  const declared = argsOf(
    stages.flatMap(({ instructions }) => instructions.filter(isArg)),
    options,
    plan.globalArgs,
    false,
  );
  const isUsed = ({ name }: OutlinedArg): boolean =>
    new RegExp(`\\$\\{?${name}\\b`).test(froms) || declared.some((one) => one.name === name);
  const globals = argsOf(dockerfile.metaArgs, options, plan.globalArgs, true).filter(isUsed);
  // One that a stage repeats without a value of its own is the global one.
  const names = new Set(globals.map(({ name }) => name));
  const args = [...globals, ...declared.filter(({ name }) => !names.has(name))];
  const secrets = mountsOf(
    stages,
    "secret",
    ({ id, source, target: at }) => id || source || lastPart(at),
  );
  const ssh = mountsOf(stages, "ssh", ({ id }) => id || "default");
  const name = target?.name ?? "";
  const description = descriptionOf(target?.from.comments ?? [], target?.from.as?.text ?? "");
  const head =
    name === "" && description === ""
      ? ""
      : `TARGET:      ${name}\n${description === "" ? "" : `DESCRIPTION: ${description}\n`}\n`;
  const argRows = args.map((one) => [one.name, one.value, one.description]);
  const argText =
    args.length === 0 ? "" : table([["BUILD ARG", "VALUE", "DESCRIPTION"], ...argRows]);
  return {
    json: {
      ...compact({ name, description }),
      ...(args.length === 0 ? {} : { args: args.map(compact) }),
      ...(secrets.length === 0 ? {} : { secrets: secrets.map(compact) }),
      ...(ssh.length === 0 ? {} : { ssh: ssh.map(compact) }),
      sources: [Buffer.from(dockerfile.text).toString("base64")],
    },
    text: `${head}${argText}${section("SECRET", secrets)}${section("SSH", ssh)}`,
  };
};

/** The answer by key. Throws not_implemented for what is no question of the Dockerfile's frontend. */
export const answerQuestion = (
  images: Parameters<typeof checkOf>[0],
  read: ReadDockerfile,
  options: DockerfileOptions,
): ReadonlyMap<string, Uint8Array> => {
  if (options.question === "frontend.lint") return checkOf(images, read, options);
  const dockerfile = parseDockerfile(read.text);
  let told: Told;
  if (options.question === "frontend.targets") told = targetsOf(dockerfile);
  else if (options.question === "frontend.outline") told = outlineOf(dockerfile, options);
  else {
    const reason = `"${options.question}" is not supported by naru: use check, outline or targets`;
    throw new NaruError("not_implemented", reason);
  }
  return new Map([
    ["result.json", Buffer.from(JSON.stringify(told.json, undefined, 2))],
    ["result.txt", Buffer.from(told.text)],
    ["version", Buffer.from("1.0.0")],
  ]);
};
