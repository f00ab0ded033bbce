/** The steps of a build as its users count them, and names of stages (pure). */
import type { StepInfo } from "#build/build.ts";
import { NaruError } from "#lib/errors.ts";
import type { Dockerfile, Instruction, Stage } from "#spec/dockerfile/dockerfile.ts";
import { withSuggestion } from "#spec/dockerfile/error.ts";
import { parseDockerfile } from "#spec/dockerfile/parse.ts";
import type { Plan } from "#spec/dockerfile/plan.ts";

export const stageName = (stage: Stage): string => stage.name ?? String(stage.index);

/** All steps of the build in order: global ARGs, then each needed stage's. Triggers of bases are not known yet. */
export const listSteps = ({ dockerfile, stages }: Plan): ReadonlyMap<Instruction, StepInfo> => {
  const steps = new Map<Instruction, StepInfo>();
  const add = (instruction: Instruction, stage: string | undefined): void => {
    const { source, range } = instruction;
    steps.set(instruction, { index: steps.size, text: source, stage, line: range.start.line });
  };
  for (const argument of dockerfile.metaArgs) add(argument, undefined);
  for (const { stage } of stages) {
    add(stage.from, stageName(stage));
    for (const instruction of stage.instructions) add(instruction, stageName(stage));
  }
  return steps;
};

/** Throws invalid_argument in the words of the classic builder, whose clients look for them. */
export const checkClassicTarget = ({ stages }: Dockerfile, target: string | undefined): void => {
  if (stages.length === 0) {
    throw new NaruError("invalid_argument", "no build stage in current context");
  }
  if (target === undefined || target === "") return;
  const isNumber = /^\d+$/.test(target) && Number(target) < stages.length;
  if (isNumber || stages.some(({ name }) => name === target.toLowerCase())) return;
  const reason = `failed to reach build target ${target} in Dockerfile`;
  const names = stages.flatMap((stage) => stage.name ?? []);
  throw new NaruError("invalid_argument", withSuggestion(reason, target, names));
};

/** Literal within a Dockerfile. */
const quoteWord = (text: string): string => `'${text.replaceAll("'", `'"'"'`)}'`;

/** For the classic builder --label is a last instruction of the stage. */
export const withLabelStep = (
  dockerfile: Dockerfile,
  target: number,
  labels: Readonly<Record<string, string>>,
): Dockerfile => {
  const entries = Object.entries(labels);
  if (entries.length === 0) return dockerfile;
  const quoted = entries.map(([key, value]) => `${quoteWord(key)}=${quoteWord(value)}`).join(" ");
  const parsed = parseDockerfile(`FROM scratch\nLABEL ${quoted.replaceAll("\n", " ")}\n`);
  const source = `LABEL ${entries.map(([key, value]) => `${key}=${value}`).join(" ")}`;
  const added = parsed.stages[0]?.instructions ?? [];
  const stages = dockerfile.stages.map((stage) => {
    if (stage.index !== target) return stage;
    const { range } = stage.from;
    const own = added.map((one) => ({ ...one, source, range }));
    return { ...stage, instructions: [...stage.instructions, ...own] };
  });
  return { ...dockerfile, stages };
};
