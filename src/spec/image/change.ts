/** The `--change` instructions of commit and import: a subset of the Dockerfile language, applied to a config. */
import { posix } from "node:path";
import { parseDurationNs } from "#lib/duration.ts";
import { NaruError } from "#lib/errors.ts";
import type { ContainerConfig, HealthConfig } from "#spec/docker/container-config.ts";
import { changePairs, changeWords, jsonWords } from "#spec/image/change-words.ts";

export type RunConfig = Partial<ContainerConfig>;

interface Change {
  readonly name: string;
  readonly text: string;
}

interface Step {
  readonly config: RunConfig;
  readonly text: string;
  /** A CMD came before in the same list. */
  readonly hasCommand: boolean;
}

const environmentOf = (config: RunConfig): Map<string, string> =>
  new Map(
    (config.Env ?? []).map((item): [string, string] => {
      const at = item.indexOf("=");
      return at < 0 ? [item, ""] : [item.slice(0, at), item.slice(at + 1)];
    }),
  );

const DEFAULT_SHELL: readonly string[] = ["/bin/sh", "-c"];

const commandOf = ({ config, text }: Step): string[] =>
  jsonWords(text) ?? [...(config.Shell ?? DEFAULT_SHELL), text];

const PORT = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i;

const exposedPorts = (word: string): string[] => {
  const match = PORT.exec(word);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? first);
  if (match === null || first > last || last > 65535) {
    throw new NaruError("invalid_argument", `invalid containerPort: ${word}`);
  }
  const protocol = (match[3] ?? "tcp").toLowerCase();
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol}`);
};

const durationNs = (text: string): number => {
  const ns = parseDurationNs(text);
  if (ns === undefined || ns < 0n) {
    throw new NaruError("invalid_argument", `time: invalid duration "${text}"`);
  }
  return Number(ns);
};

const HEALTH_FLAGS = {
  interval: "Interval",
  timeout: "Timeout",
  "start-period": "StartPeriod",
  "start-interval": "StartInterval",
} as const;

const healthcheck = (step: Step): HealthConfig => {
  const health: HealthConfig = {};
  let rest = step.text;
  for (;;) {
    const match = /^--([a-z-]+)=(\S+)\s+/.exec(rest);
    if (match === null) break;
    const [whole, flag = "", value = ""] = match;
    rest = rest.slice(whole.length);
    if (flag === "retries") health.Retries = Number.parseInt(value, 10) || 0;
    else if (flag in HEALTH_FLAGS) {
      health[HEALTH_FLAGS[flag as keyof typeof HEALTH_FLAGS]] = durationNs(value);
    } else throw new NaruError("invalid_argument", `unknown flag: ${flag}`);
  }
  if (/^none$/i.test(rest)) return { Test: ["NONE"] };
  const command = /^cmd\s+(.+)$/is.exec(rest)?.[1];
  if (command === undefined) {
    throw new NaruError("invalid_argument", "Unknown type in HEALTHCHECK (try CMD or NONE)");
  }
  const argv = jsonWords(command);
  health.Test = argv === undefined ? ["CMD-SHELL", command] : ["CMD", ...argv];
  return health;
};

const oneWord = (step: Step, name: string): string => {
  const words = changeWords(step.text, environmentOf(step.config));
  if (words.length !== 1)
    throw new NaruError("invalid_argument", `${name} requires exactly one argument`);
  return words[0] ?? "";
};

const setOf = (keys: readonly string[]): Record<string, object> =>
  Object.fromEntries(keys.map((key) => [key, {}]));

const withEnvironment = (step: Step): RunConfig => {
  const pairs = changePairs("ENV", step.text, environmentOf(step.config));
  const environment = environmentOf(step.config);
  for (const [key, value] of pairs) environment.set(key, value);
  return { Env: [...environment].map(([key, value]) => `${key}=${value}`) };
};

const withExposed = (step: Step): RunConfig => {
  const ports = changeWords(step.text, environmentOf(step.config)).flatMap(exposedPorts);
  return { ExposedPorts: { ...step.config.ExposedPorts, ...setOf(ports) } };
};

const withVolumes = (step: Step): RunConfig => {
  const words = jsonWords(step.text) ?? changeWords(step.text, environmentOf(step.config));
  if (words.some((word) => word.trim() === "")) {
    throw new NaruError("invalid_argument", "VOLUME specified can not be an empty string");
  }
  return { Volumes: { ...step.config.Volumes, ...setOf(words) } };
};

const INSTRUCTIONS: Readonly<Record<string, (step: Step) => RunConfig>> = {
  CMD: (step) => ({ Cmd: commandOf(step) }),
  // As in a Dockerfile, a new entrypoint drops the command it was not made for.
  ENTRYPOINT: (step) => ({
    Entrypoint: commandOf(step),
    ...(step.hasCommand ? {} : { Cmd: null }),
  }),
  ENV: withEnvironment,
  EXPOSE: withExposed,
  HEALTHCHECK: (step) => ({ Healthcheck: healthcheck(step) }),
  LABEL: (step) => ({
    Labels: {
      ...step.config.Labels,
      ...Object.fromEntries(changePairs("LABEL", step.text, environmentOf(step.config))),
    },
  }),
  ONBUILD: (step) => ({ OnBuild: [...(step.config.OnBuild ?? []), step.text] }),
  SHELL: (step) => {
    const words = jsonWords(step.text);
    if (words === undefined || words.length === 0) {
      throw new NaruError("invalid_argument", "SHELL requires the arguments to be in JSON form");
    }
    return { Shell: words };
  },
  STOPSIGNAL: (step) => ({ StopSignal: oneWord(step, "STOPSIGNAL") }),
  USER: (step) => ({ User: oneWord(step, "USER") }),
  VOLUME: withVolumes,
  WORKDIR: (step) => ({
    WorkingDir: posix.resolve(
      step.config.WorkingDir || "/",
      changeWords(step.text, environmentOf(step.config), true)[0] ?? "",
    ),
  }),
};

const parseChanges = (changes: readonly string[]): Change[] =>
  changes
    .flatMap((change) => change.replaceAll(/\\\r?\n/g, " ").split("\n"))
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const match = /^(\S+)\s*(.*)$/s.exec(line);
      const name = match?.[1] ?? line;
      return { name: name.toUpperCase(), text: match?.[2] ?? "" };
    });

/** Applies the instructions in order. Unknown ones are refused: invalid_argument. */
export const applyChanges = (config: RunConfig, changes: readonly string[]): RunConfig => {
  let result = config;
  let hasCommand = false;
  for (const { name, text } of parseChanges(changes)) {
    const instruction = INSTRUCTIONS[name];
    if (instruction === undefined) {
      throw new NaruError("invalid_argument", `${name} is not a valid change command`);
    }
    if (text === "")
      throw new NaruError("invalid_argument", `${name} requires at least one argument`);
    result = { ...result, ...instruction({ config: result, text, hasCommand }) };
    hasCommand ||= name === "CMD";
  }
  return result;
};
