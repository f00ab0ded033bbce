/** Instructions that change the image's config alone (pure). */
import { posix } from "node:path";
import type { RunConfig } from "#build/state.ts";
import { NaruError } from "#lib/errors.ts";
import { signalNumber } from "#spec/docker/signals.ts";
import type { KeyValue, StageInstruction, Word } from "#spec/dockerfile/dockerfile.ts";
import { parseExposed } from "#spec/dockerfile/ports.ts";

export interface MetadataInput {
  readonly config: RunConfig;
  /** A CMD came before in this stage. */
  readonly hasCommand: boolean;
  readonly expand: (word: Word) => string;
  readonly expandWords: (word: Word) => readonly string[];
}

export interface MetadataOutput {
  readonly config: RunConfig;
  /** As history tells it. */
  readonly text: string;
  readonly author?: string;
}

type ByName<N extends StageInstruction["name"]> = Extract<StageInstruction, { name: N }>;

const DEFAULT_SHELL: readonly string[] = ["/bin/sh", "-c"];

export const shellOf = (config: RunConfig): readonly string[] =>
  config.Shell !== undefined && config.Shell.length > 0 ? config.Shell : DEFAULT_SHELL;

/** `["a" "b"]`, as Docker's history writes lists. */
const quoted = (words: readonly string[]): string =>
  `[${words.map((word) => JSON.stringify(word)).join(" ")}]`;

export const setVariable = (env: readonly string[], name: string, value: string): string[] => {
  const index = env.findIndex((entry) => entry.startsWith(`${name}=`));
  const entry = `${name}=${value}`;
  return index < 0 ? [...env, entry] : env.with(index, entry);
};

const env = (instruction: ByName<"ENV">, input: MetadataInput): MetadataOutput => {
  // All values are seen as they were before the instruction.
  const pairs = instruction.pairs.map(({ key, value }) => [input.expand(key), input.expand(value)]);
  let list = input.config.Env ?? [];
  for (const [key = "", value = ""] of pairs) {
    if (key === "") throw new NaruError("invalid_argument", "ENV names can not be blank");
    list = setVariable(list, key, value);
  }
  const text = `ENV ${pairs.map(([key, value]) => `${key}=${value}`).join(" ")}`;
  return { config: { ...input.config, Env: list }, text };
};

const expandPairs = (pairs: readonly KeyValue[], input: MetadataInput): [string, string][] =>
  pairs.map(({ key, value }) => [input.expand(key), input.expand(value)]);

const label = (instruction: ByName<"LABEL">, input: MetadataInput): MetadataOutput => {
  const pairs = expandPairs(instruction.pairs, input);
  if (pairs.some(([key]) => key === "")) {
    throw new NaruError("invalid_argument", "LABEL names can not be blank");
  }
  const Labels = { ...input.config.Labels, ...Object.fromEntries(pairs) };
  const text = `LABEL ${pairs.map(([key, value]) => `${key}=${value}`).join(" ")}`;
  return { config: { ...input.config, Labels }, text };
};

const expose = (instruction: ByName<"EXPOSE">, input: MetadataInput): MetadataOutput => {
  const words = instruction.ports.flatMap((word) => input.expandWords(word));
  const ports = Object.fromEntries(
    words.flatMap((word) => parseExposed(word).ports).map((port) => [port, {}]),
  );
  return {
    config: { ...input.config, ExposedPorts: { ...input.config.ExposedPorts, ...ports } },
    text: `EXPOSE ${words.toSorted().join(" ")}`,
  };
};

const volume = (instruction: ByName<"VOLUME">, input: MetadataInput): MetadataOutput => {
  const paths = instruction.paths.map((word) => input.expand(word));
  if (paths.some((path) => path.trim() === "")) {
    throw new NaruError("invalid_argument", "VOLUME specified can not be an empty string");
  }
  const added = Object.fromEntries(paths.map((path) => [path, {}]));
  return {
    config: { ...input.config, Volumes: { ...input.config.Volumes, ...added } },
    text: `VOLUME [${paths.join(" ")}]`,
  };
};

const argvOf = (command: ByName<"CMD">["command"], config: RunConfig): string[] =>
  command.form === "exec" ? [...command.args] : [...shellOf(config), command.line];

const cmd = (instruction: ByName<"CMD">, { config }: MetadataInput): MetadataOutput => {
  const Cmd = argvOf(instruction.command, config);
  return { config: { ...config, Cmd }, text: `CMD ${quoted(Cmd)}` };
};

/** A new entrypoint drops the command that was not made for it. */
const entrypoint = (
  instruction: ByName<"ENTRYPOINT">,
  { config, hasCommand }: MetadataInput,
): MetadataOutput => {
  const Entrypoint = argvOf(instruction.command, config);
  return {
    // An empty list takes the base's entrypoint away.
    config: {
      ...config,
      Entrypoint: Entrypoint.length > 0 ? Entrypoint : null,
      ...(hasCommand ? {} : { Cmd: null }),
    },
    text: `ENTRYPOINT ${quoted(Entrypoint)}`,
  };
};

const stopsignal = (instruction: ByName<"STOPSIGNAL">, input: MetadataInput): MetadataOutput => {
  const signal = input.expand(instruction.signal);
  signalNumber(signal);
  return { config: { ...input.config, StopSignal: signal }, text: `STOPSIGNAL ${signal}` };
};

/** Absolute, by the directory before. An absolute path stays as it was written. */
export const workingDirectory = (config: RunConfig, path: string): string => {
  if (path.startsWith("/")) return path;
  const clean = posix.resolve("/", config.WorkingDir ?? "/", path);
  return clean === "" ? "/" : clean;
};

/** What `instruction` makes of a config. Throws invalid_argument; RUN, COPY, ADD, ARG are not for here. */
export const applyMetadata = (
  instruction: StageInstruction,
  input: MetadataInput,
): MetadataOutput => {
  const { config, expand } = input;
  switch (instruction.name) {
    case "ENV":
      return env(instruction, input);
    case "LABEL":
      return label(instruction, input);
    case "EXPOSE":
      return expose(instruction, input);
    case "VOLUME":
      return volume(instruction, input);
    case "CMD":
      return cmd(instruction, input);
    case "ENTRYPOINT":
      return entrypoint(instruction, input);
    case "STOPSIGNAL":
      return stopsignal(instruction, input);
    case "MAINTAINER": {
      const author = instruction.maintainer.text;
      return { config, author, text: `MAINTAINER ${author}` };
    }
    case "USER": {
      const User = expand(instruction.user);
      return { config: { ...config, User }, text: `USER ${User}` };
    }
    case "WORKDIR": {
      const WorkingDir = workingDirectory(config, expand(instruction.path));
      return { config: { ...config, WorkingDir }, text: `WORKDIR ${WorkingDir}` };
    }
    case "SHELL": {
      const Shell = [...instruction.shell];
      return { config: { ...config, Shell }, text: `SHELL [${Shell.join(" ")}]` };
    }
    case "HEALTHCHECK":
      return { config: { ...config, Healthcheck: instruction.health }, text: instruction.source };
    case "ONBUILD": {
      const OnBuild = [...(config.OnBuild ?? []), instruction.expression];
      return { config: { ...config, OnBuild }, text: `ONBUILD ${instruction.expression}` };
    }
    case "RUN":
    case "COPY":
    case "ADD":
    case "ARG":
      throw new NaruError("internal", `"${instruction.name}" changes more than the config`);
  }
};
