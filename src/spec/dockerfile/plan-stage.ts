/** One stage's instructions with every variable resolved, and the config they make. */
import type {
  ArgInstruction,
  EnvInstruction,
  HealthcheckInstruction,
  LabelInstruction,
  StageInstruction,
  Word,
} from "#spec/dockerfile/dockerfile.ts";
import { Complaint, placed } from "#spec/dockerfile/error.ts";
import { expandWord } from "#spec/dockerfile/expand.ts";
import { goList, goQuotedList } from "#spec/dockerfile/go-text.ts";
import type {
  Plan,
  PlannedInstruction,
  PlannedStage,
  ResolvedStage,
  StageState,
  Step,
} from "#spec/dockerfile/plan.ts";
import { parseExposed } from "#spec/dockerfile/ports.ts";
import {
  type MissingObserver,
  type StageBase,
  StageDraft,
  joinPath,
} from "#spec/dockerfile/stage-state.ts";
import { planCopy } from "#spec/dockerfile/step-copy.ts";
import { planRun } from "#spec/dockerfile/step-run.ts";
import { NaruError } from "#lib/errors.ts";
import { signalNumber } from "#spec/docker/signals.ts";
import { formatDuration } from "#lib/duration.ts";

type ConfigInstruction = Exclude<
  StageInstruction,
  { readonly name: "RUN" | "COPY" | "ADD" | "WORKDIR" }
>;

const setOf = (keys: readonly string[]): Record<string, object> =>
  Object.fromEntries(keys.map((key) => [key, {}]));

const applyArg = (draft: StageDraft, instruction: ArgInstruction): Applied => {
  const { options, globalArgs } = draft.plan;
  const written = instruction.args.map(({ key, value }) => {
    const name = key.text;
    const byDefault = (): string | undefined =>
      value === undefined ? globalArgs.get(name) : draft.expand(value);
    const worth = options.buildArgs.get(name) ?? byDefault();
    draft.setArg(name, worth);
    return worth === undefined ? name : `${name}=${worth}`;
  });
  return [`ARG ${written.join(" ")}`, instruction.args.map(({ key }) => key.text)];
};

const expandPairs = (
  draft: StageDraft,
  instruction: EnvInstruction | LabelInstruction,
): (readonly [name: string, value: string])[] =>
  // All first: a pair does not see the ones beside it.
  instruction.pairs.map(({ key, value }) => [draft.expand(key), draft.expand(value)]);

const applyEnv = (draft: StageDraft, instruction: EnvInstruction): Applied => {
  const pairs = expandPairs(draft, instruction);
  draft.setEnv(pairs);
  const line = `ENV ${pairs.map(([name, value]) => `${name}=${value}`).join(" ")}`;
  return [line, pairs.map(([name]) => name)];
};

const applyLabel = (draft: StageDraft, instruction: LabelInstruction): string => {
  const pairs = expandPairs(draft, instruction);
  draft.set({ Labels: { ...draft.config.Labels, ...Object.fromEntries(pairs) } });
  return `LABEL ${pairs.map(([name, value]) => `${name}=${value}`).join(" ")}`;
};

const applyHealth = (draft: StageDraft, { health }: HealthcheckInstruction): string => {
  draft.set({ Healthcheck: health });
  const fields = [
    `Test:${goList(health.Test ?? [])}`,
    `Interval:${formatDuration(health.Interval ?? 0)}`,
    `Timeout:${formatDuration(health.Timeout ?? 0)}`,
    `StartPeriod:${formatDuration(health.StartPeriod ?? 0)}`,
    `StartInterval:${formatDuration(health.StartInterval ?? 0)}`,
    `Retries:${health.Retries ?? 0}`,
  ];
  return `HEALTHCHECK {${fields.join(" ")}}`;
};

/** Any number but 0 passes: the container's kernel may know more than this one. */
const checkSignal = (signal: string): void => {
  if (/^[+-]?0*[1-9]\d*$/.test(signal)) return;
  try {
    signalNumber(signal);
  } catch (error) {
    if (error instanceof NaruError) throw new Complaint(`invalid signal: ${signal}`);
    throw error;
  }
};

/** Line for the history, and the words it is about. */
type Applied = string | readonly [createdBy: string, keys: readonly string[]];

/** Changes the config. Throws Complaint. */
const applyConfig = (draft: StageDraft, instruction: ConfigInstruction): Applied => {
  const { config } = draft;
  switch (instruction.name) {
    case "ARG":
      return applyArg(draft, instruction);
    case "ENV":
      return applyEnv(draft, instruction);
    case "LABEL":
      return applyLabel(draft, instruction);
    case "HEALTHCHECK":
      return applyHealth(draft, instruction);
    case "MAINTAINER":
      draft.author = instruction.maintainer.text;
      return `MAINTAINER ${draft.author}`;
    case "ONBUILD":
      draft.set({ OnBuild: [...(config.OnBuild ?? []), instruction.expression] });
      return `ONBUILD ${instruction.expression}`;
    case "SHELL":
      draft.set({ Shell: [...instruction.shell] });
      return `SHELL ${goList(instruction.shell)}`;
    case "CMD":
    case "ENTRYPOINT": {
      const { command, name } = instruction;
      const args = command.form === "exec" ? [...command.args] : draft.withShell(command.line);
      if (name === "CMD") {
        draft.isCmdSet = true;
        draft.set({ Cmd: args, ArgsEscaped: true });
      } else {
        // A base's CMD was meant for the base's ENTRYPOINT.
        const cmd = draft.isCmdSet ? {} : { Cmd: null };
        draft.set({ Entrypoint: args.length > 0 ? args : null, ...cmd });
      }
      return `${name} ${goQuotedList(args)}`;
    }
    case "EXPOSE": {
      // Sorted, as Docker's images have them, however they were written.
      const written = instruction.ports.toSorted((a, b) => (a.text < b.text ? -1 : 1));
      const words = written.flatMap((word) => draft.quietWords(word));
      const ports = words.flatMap((word) => parseExposed(word).ports);
      draft.set({ ExposedPorts: { ...config.ExposedPorts, ...setOf(ports) } });
      return [`EXPOSE ${goList(ports)}`, words];
    }
    case "VOLUME": {
      const paths = instruction.paths.map((word) => draft.expand(word));
      if (paths.includes("")) throw new Complaint("VOLUME specified can not be an empty string");
      draft.set({ Volumes: { ...config.Volumes, ...setOf(paths) } });
      return `VOLUME ${goList(paths)}`;
    }
    case "USER":
      draft.set({ User: draft.expand(instruction.user) });
      return `USER ${draft.user}`;
    case "STOPSIGNAL": {
      const signal = draft.expand(instruction.signal);
      checkSignal(signal);
      draft.set({ StopSignal: signal });
      return `STOPSIGNAL ${signal}`;
    }
    default:
      return instruction satisfies never;
  }
};

/** The line with what is set filled in; a variable that a secret fills shows as stars. */
const titleOf = (
  draft: StageDraft,
  instruction: StageInstruction,
  secretNames: readonly string[],
): string => {
  const { source, name, keyword } = instruction;
  const isRun = name === "RUN";
  const lookup = (variable: string): string | undefined =>
    secretNames.includes(variable) ? "****" : draft.lookup(variable);
  const behind = source.slice(keyword.text.length);
  try {
    // What the shell will see: its own quotes and escapes stay.
    const kept = { keepsQuotes: isRun, keepsEscapes: isRun, keepsUnset: isRun };
    const options = { escape: draft.escape, ...kept };
    return name + expandWord(behind, lookup, options).text;
  } catch (error) {
    // The shell may understand what this language does not.
    if (error instanceof Complaint) return name + behind;
    throw error;
  }
};

const workdirStep = (draft: StageDraft, planned: PlannedInstruction, path: Word): Step => {
  const { instruction, isTrigger } = planned;
  const wanted = draft.expand(path);
  const title = titleOf(draft, instruction, []);
  const directory = wanted.startsWith("/") ? wanted : joinPath(draft.cwd, wanted);
  draft.set({ WorkingDir: directory });
  const createdBy = `WORKDIR ${directory}`;
  const keys = [wanted];
  const step = { instruction, isTrigger, keys, title, createdBy, config: draft.config };
  if (directory === "/") return { ...step, kind: "config" };
  return { ...step, kind: "workdir", path: directory, user: draft.user };
};

const stepOf = (draft: StageDraft, planned: PlannedInstruction): Step => {
  const { instruction, isTrigger, sources } = planned;
  const common = { instruction, isTrigger };
  if (instruction.name === "RUN") {
    const { details, createdBy, summary, secretNames } = planRun(draft, instruction, sources);
    const title = titleOf(draft, instruction, secretNames) + summary;
    return { ...common, ...details, title, createdBy, config: draft.config };
  }
  if (instruction.name === "COPY" || instruction.name === "ADD") {
    const [details, line] = planCopy(draft, instruction, sources[0]);
    const title = titleOf(draft, instruction, []);
    const createdBy = `${line} # buildkit`;
    return { ...common, ...details, title, createdBy, config: draft.config };
  }
  if (instruction.name === "WORKDIR") return workdirStep(draft, planned, instruction.path);
  const title = titleOf(draft, instruction, []);
  const applied = applyConfig(draft, instruction);
  const [createdBy, keys] = typeof applied === "string" ? [applied, []] : applied;
  return { ...common, kind: "config", keys, title, createdBy, config: draft.config };
};

/** Told of each step, with the state before it. */
export type StepVisitor = (step: Step, before: StageState) => void;

export interface StageObserver {
  readonly missing?: MissingObserver;
  readonly step?: StepVisitor;
}

/** Throws DockerfileError, placed at the instruction, or at the FROM that brought a trigger. */
export const resolveStage = (
  plan: Plan,
  planned: PlannedStage,
  base: StageBase,
  observer: StageObserver = {},
): ResolvedStage => {
  const draft = new StageDraft(plan, base, observer.missing);
  const { text } = plan.dockerfile;
  const steps = planned.instructions.map((item) => {
    draft.begin(item.instruction, item.isTrigger);
    const range = item.isTrigger ? planned.stage.from.range : item.instruction.range;
    const before = draft.state;
    const step = placed(text, range, () => stepOf(draft, item));
    observer.step?.(step, before);
    return step;
  });
  return { planned, steps, state: draft.state };
};
