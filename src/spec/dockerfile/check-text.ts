/** Checks that need no variable: casing, names, comments. */
import type { Report } from "#spec/dockerfile/check.ts";
import type {
  ArgInstruction,
  Dockerfile,
  FromInstruction,
  Instruction,
} from "#spec/dockerfile/dockerfile.ts";

const RESERVED: readonly string[] = ["context", "scratch"];

const isLower = (word: string): boolean => word === word.toLowerCase();
const isUpper = (word: string): boolean => word === word.toUpperCase();

const checkFromCasing = (from: FromInstruction, report: Report): void => {
  const { as, asKeyword, keyword, range, comments } = from;
  if (as === undefined || asKeyword === undefined) return;
  if (!isLower(as.text)) {
    report("StageNameCasing", range, `Stage name '${as.text}' should be lowercase`, comments);
  }
  const word = keyword.text;
  // "From" is another check's matter.
  if (!isLower(word) && !isUpper(word)) return;
  const isSame = isLower(word) ? isLower(asKeyword.text) : isUpper(asKeyword.text);
  if (isSame) return;
  const message = `'${asKeyword.text}' and '${word}' keywords' casing do not match`;
  report("FromAsCasing", range, message, comments);
};

const checkDescription = (
  instruction: FromInstruction | ArgInstruction,
  keys: readonly string[],
  report: Report,
): void => {
  const { name, range, comments } = instruction;
  const comment = comments.at(-1);
  const [first] = keys;
  if (comment === undefined || first === undefined) return;
  if (keys.includes(comment.split(" ", 1)[0] ?? "")) return;
  const example = keys.length > 1 ? "<arg_key>" : first;
  const message = `Comment for ${name} should follow the format: \`# ${example} <description>\``;
  report("InvalidDefinitionDescription", range, message, comments);
};

const checkInstruction = (instruction: Instruction, report: Report): void => {
  const { name, range, comments } = instruction;
  if (name === "MAINTAINER") {
    const message = "Maintainer instruction is deprecated in favor of using label";
    report("MaintainerDeprecated", range, message, comments);
  }
  if (name === "FROM") {
    checkFromCasing(instruction, report);
    const stage = instruction.as?.text.toLowerCase();
    checkDescription(instruction, stage === undefined ? [] : [stage], report);
  }
  if (name === "ARG") {
    checkDescription(
      instruction,
      instruction.args.map((arg) => arg.key.text),
      report,
    );
  }
};

const checkStageNames = (file: Dockerfile, report: Report): void => {
  const seen = new Set<string>();
  for (const { name, from } of file.stages) {
    if (name === undefined) continue;
    if (RESERVED.includes(name)) {
      const message = `Stage name should not use the same name as reserved stage "${name}"`;
      report("ReservedStageName", from.range, message);
    }
    if (seen.has(name)) {
      const message = `Duplicate stage name "${name}", stage names should be unique`;
      report("DuplicateStageName", from.range, message);
    }
    seen.add(name);
  }
};

/** All keywords in one case, that of the majority; upper case when there is none. */
const checkCasing = (instructions: readonly Instruction[], report: Report): void => {
  const words = instructions.map((instruction) => instruction.keyword.text);
  const isLowerMajority = words.filter(isLower).length > words.filter(isUpper).length;
  for (const { keyword, range } of instructions) {
    if (isLowerMajority ? isLower(keyword.text) : isUpper(keyword.text)) continue;
    const wanted = isLowerMajority ? "lowercase" : "uppercase";
    const message = `Command '${keyword.text}' should match the case of the command majority (${wanted})`;
    report("ConsistentInstructionCasing", range, message);
  }
};

export const checkText = (file: Dockerfile, report: Report): void => {
  for (const line of file.emptyContinuationLines) {
    const place = { line, column: 1 };
    report("NoEmptyContinuation", { start: place, end: place }, "Empty continuation line");
  }
  const inStages = file.stages.flatMap((stage) => [stage.from, ...stage.instructions]);
  for (const instruction of [...file.metaArgs, ...inStages]) checkInstruction(instruction, report);
  checkStageNames(file, report);
  checkCasing(inStages, report);
};
