/** Which stages a target needs, and what they are made of (pure). */
import type { StepInfo } from "#build/build.ts";
import { NaruError } from "#lib/errors.ts";
import type {
  Dockerfile,
  Instruction,
  Stage,
  StageInstruction,
} from "#spec/dockerfile/dockerfile.ts";
import { withSuggestion } from "#spec/dockerfile/error.ts";
import { csvFields } from "#spec/dockerfile/csv.ts";

/** A stage that stands before `before`: by name (the last of that name) or number. */
export const findStage = (
  stages: readonly Stage[],
  reference: string,
  before: number,
): Stage | undefined => {
  const earlier = stages.filter((stage) => stage.index < before);
  const named = earlier.findLast((stage) => stage.name === reference.toLowerCase());
  if (named !== undefined) return named;
  return /^\d+$/.test(reference) ? earlier.find((s) => s.index === Number(reference)) : undefined;
};

/** Throws invalid_argument in Docker's words. */
export const targetStage = (dockerfile: Dockerfile, target: string | undefined): Stage => {
  const { stages } = dockerfile;
  if (target === undefined || target === "") {
    const last = stages.at(-1);
    if (last !== undefined) return last;
    throw new NaruError("invalid_argument", "no build stage in current context");
  }
  const found = findStage(stages, target, Number.POSITIVE_INFINITY);
  if (found !== undefined) return found;
  const names = stages.flatMap((stage) => stage.name ?? []);
  const reason = `failed to reach build target ${target} in Dockerfile`;
  throw new NaruError("invalid_argument", withSuggestion(reason, target, names));
};

/** `from` holds no variables: the parser has seen to that. */
export const mountSource = (text: string): string =>
  csvFields(text)
    .find((field) => /^from=/i.test(field))
    ?.slice("from=".length) ?? "";

const mountSources = (instruction: StageInstruction): string[] =>
  instruction.name === "RUN" ? instruction.mounts.map((mount) => mountSource(mount.text)) : [];

/** Names that an instruction reads from. */
const readsFrom = (instruction: StageInstruction): string[] => [
  ...(instruction.name === "COPY" && instruction.from !== undefined ? [instruction.from.text] : []),
  ...mountSources(instruction),
];

/** In the order of the Dockerfile. `baseOf` expands the name behind FROM. */
export const neededStages = (
  dockerfile: Dockerfile,
  target: Stage,
  baseOf: (stage: Stage) => string,
): readonly Stage[] => {
  const needed = new Set<Stage>();
  const visit = (stage: Stage): void => {
    if (needed.has(stage)) return;
    needed.add(stage);
    const names = [baseOf(stage), ...stage.instructions.flatMap(readsFrom)];
    for (const name of names) {
      const found = name === "" ? undefined : findStage(dockerfile.stages, name, stage.index);
      if (found !== undefined) visit(found);
    }
  };
  visit(target);
  return dockerfile.stages.filter((stage) => needed.has(stage));
};

export const stageName = (stage: Stage): string => stage.name ?? String(stage.index);

/** All steps of the build in order: global ARGs, then each needed stage's. */
export const listSteps = (
  dockerfile: Dockerfile,
  stages: readonly Stage[],
): ReadonlyMap<Instruction, StepInfo> => {
  const steps = new Map<Instruction, StepInfo>();
  const add = (instruction: Instruction, stage: string | undefined): void => {
    const { source, range } = instruction;
    steps.set(instruction, { index: steps.size, text: source, stage, line: range.start.line });
  };
  for (const argument of dockerfile.metaArgs) add(argument, undefined);
  for (const stage of stages) {
    add(stage.from, stageName(stage));
    for (const instruction of stage.instructions) add(instruction, stageName(stage));
  }
  return steps;
};
