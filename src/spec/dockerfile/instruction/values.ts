/** ARG, ENV and LABEL: names and values. */
import type {
  ArgDefinition,
  ArgInstruction,
  EnvInstruction,
  KeyValue,
  LabelInstruction,
} from "#spec/dockerfile/dockerfile.ts";
import { Complaint } from "#spec/dockerfile/error.ts";
import { FlagSet } from "#spec/dockerfile/flags.ts";
import { type Request, atLeastOne } from "#spec/dockerfile/instruction/request.ts";
import type { Slice } from "#spec/dockerfile/slice.ts";
import { cutAtBlank, splitQuoted } from "#spec/dockerfile/words.ts";

/** At the first "="; without one there is no value. */
const cut = (word: Slice): readonly [key: Slice, value: Slice | undefined] => {
  const equals = word.text.indexOf("=");
  if (equals < 0) return [word, undefined];
  return [word.sub(0, equals), word.sub(equals + 1)];
};

const namesCannotBeBlank = (name: string, word: Slice): Complaint =>
  new Complaint(`${name} names can not be blank`, word.range);

export const readArg = (request: Request): ArgInstruction => {
  atLeastOne(request.rest, "ARG");
  new FlagSet(request.common.flags, {});
  const args = splitQuoted(request.rest, request.escape).map((word): ArgDefinition => {
    const [key, value] = cut(word);
    if (key.text === "") throw namesCannotBeBlank("ARG", word);
    return { key: key.word(), value: value?.word() };
  });
  return { ...request.common, name: "ARG", args };
};

const readPairs = (request: Request, name: string) => {
  atLeastOne(request.rest, name);
  new FlagSet(request.common.flags, {});
  const words = splitQuoted(request.rest, request.escape);
  if (words[0]?.text.includes("=") !== true) {
    const [key, value] = cutAtBlank(request.rest);
    if (value === undefined) throw new Complaint(`${name} must have two arguments`, key.range);
    return { pairs: [{ key: key.word(), value: value.word() }], isLegacy: true };
  }
  const pairs = words.map((word): KeyValue => {
    const [key, value] = cut(word);
    if (value === undefined) {
      const reason = `Syntax error - can't find = in ${JSON.stringify(word.text)}`;
      throw new Complaint(`${reason}. Must be of the form: name=value`, word.range);
    }
    if (key.text === "") throw namesCannotBeBlank(name, word);
    return { key: key.word(), value: value.word() };
  });
  return { pairs, isLegacy: false };
};

export const readEnv = (request: Request): EnvInstruction => ({
  ...request.common,
  name: "ENV",
  ...readPairs(request, "ENV"),
});

export const readLabel = (request: Request): LabelInstruction => ({
  ...request.common,
  name: "LABEL",
  ...readPairs(request, "LABEL"),
});
