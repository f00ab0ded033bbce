/** One instruction's line to its typed form. */
import type {
  Escape,
  Flag,
  FromInstruction,
  Heredoc,
  Instruction,
  InstructionName,
  OnbuildInstruction,
  StageInstruction,
  Word,
} from "#spec/dockerfile/dockerfile.ts";
import { Complaint, withSuggestion } from "#spec/dockerfile/error.ts";
import { FlagSet } from "#spec/dockerfile/flags.ts";
import { readFrom } from "#spec/dockerfile/instruction/from.ts";
import { readHealthcheck } from "#spec/dockerfile/instruction/healthcheck.ts";
import {
  type CommonFields,
  type Request,
  atLeastOne,
  exactlyOne,
  readCommand,
  readJsonList,
} from "#spec/dockerfile/instruction/request.ts";
import { readRun } from "#spec/dockerfile/instruction/run.ts";
import { readAdd, readCopy } from "#spec/dockerfile/instruction/transfer.ts";
import { readArg, readEnv, readLabel } from "#spec/dockerfile/instruction/values.ts";
import type { Slice } from "#spec/dockerfile/slice.ts";
import { cutAtBlank, cutFlags, splitAtBlanks } from "#spec/dockerfile/words.ts";

/** A line cut in keyword, flags and the rest. */
export interface Head {
  readonly line: Slice;
  readonly keyword: Slice;
  /** Upper case; any word, known or not. */
  readonly name: string;
  readonly flags: readonly Flag[];
  readonly rest: Slice;
  readonly escape: Escape;
}

export const readHead = (text: Slice, escape: Escape): Head => {
  const line = text.trim();
  const [keyword, behind] = cutAtBlank(line);
  const name = keyword.text.toUpperCase();
  const { flags, rest } = cutFlags(behind ?? line.sub(line.end - line.start), escape);
  return { line, keyword, name, flags, rest, escape };
};

const HEREDOC_NAMES: readonly string[] = ["ADD", "COPY", "RUN"];

/** Whether `<<` means something on this line: not in JSON form, and for ONBUILD as its trigger says. */
export const takesHeredocs = (head: Head): boolean => {
  if (head.name === "ONBUILD" && head.rest.text !== "") {
    const trigger = readHead(head.rest, head.escape);
    return trigger.name !== "ONBUILD" && takesHeredocs(trigger);
  }
  return HEREDOC_NAMES.includes(head.name) && readJsonList(head.rest) === undefined;
};

const oneWord = (request: Request, name: string): Word => {
  new FlagSet(request.common.flags, {});
  return exactlyOne(request.rest, name);
};

const readWords = (request: Request, name: string): readonly Word[] => {
  atLeastOne(request.rest, name);
  new FlagSet(request.common.flags, {});
  const list = name === "VOLUME" ? readJsonList(request.rest) : undefined;
  const { range } = request.rest;
  if (list !== undefined) return list.map((text) => ({ text, range }));
  return splitAtBlanks(request.rest).map((part) => part.word());
};

const readVolumes = (request: Request): readonly Word[] => {
  const paths = readWords(request, "VOLUME").map((word) => ({ ...word, text: word.text.trim() }));
  if (paths.length === 0) throw new Complaint("VOLUME requires at least one argument");
  const blank = paths.find((word) => word.text === "");
  if (blank === undefined) return paths;
  throw new Complaint("VOLUME specified can not be an empty string", blank.range);
};

const readShell = (request: Request): readonly string[] => {
  new FlagSet(request.common.flags, {});
  const command = readCommand(request.rest);
  const isEmpty = command.form === "exec" ? command.args.length === 0 : command.line === "";
  if (isEmpty) throw new Complaint("SHELL requires at least one argument");
  if (command.form === "exec") return command.args;
  throw new Complaint(
    `SHELL requires the arguments to be in JSON form: ["program", "argument"]`,
    request.rest.range,
  );
};

/** CMD and ENTRYPOINT. */
const readProgram = (request: Request) => {
  new FlagSet(request.common.flags, {});
  return { ...request.common, command: readCommand(request.rest) };
};

const NOT_TRIGGERS: readonly string[] = ["MAINTAINER", "FROM"];

const readOnbuild = (request: Request): OnbuildInstruction => {
  const { common, rest, escape } = request;
  atLeastOne(rest, "ONBUILD");
  new FlagSet(common.flags, {});
  const head = readHead(rest, escape);
  if (head.name === "ONBUILD") {
    throw new Complaint("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", head.keyword.range);
  }
  if (NOT_TRIGGERS.includes(head.name)) {
    throw new Complaint(`${head.name} isn't allowed as an ONBUILD trigger`, head.keyword.range);
  }
  const trigger = readInstruction(head, common.heredocs, []);
  const texts = common.heredocs.map((h) => `\n${h.content}${h.name}`);
  return {
    ...common,
    name: "ONBUILD",
    expression: rest.text + texts.join(""),
    // FROM has been refused above.
    trigger: trigger as StageInstruction,
  };
};

const READERS: { readonly [N in InstructionName]: (request: Request) => Instruction } = {
  ADD: readAdd,
  ARG: readArg,
  CMD: (r) => ({ ...readProgram(r), name: "CMD" }),
  COPY: readCopy,
  ENTRYPOINT: (r) => ({ ...readProgram(r), name: "ENTRYPOINT" }),
  ENV: readEnv,
  EXPOSE: (r) => ({ ...r.common, name: "EXPOSE", ports: readWords(r, "EXPOSE") }),
  FROM: (r): FromInstruction => readFrom(r),
  HEALTHCHECK: readHealthcheck,
  LABEL: readLabel,
  MAINTAINER: (r) => ({ ...r.common, name: "MAINTAINER", maintainer: oneWord(r, "MAINTAINER") }),
  ONBUILD: readOnbuild,
  RUN: readRun,
  SHELL: (r) => ({ ...r.common, name: "SHELL", shell: readShell(r) }),
  STOPSIGNAL: (r) => ({ ...r.common, name: "STOPSIGNAL", signal: oneWord(r, "STOPSIGNAL") }),
  USER: (r) => ({ ...r.common, name: "USER", user: oneWord(r, "USER") }),
  VOLUME: (r) => ({ ...r.common, name: "VOLUME", paths: readVolumes(r) }),
  WORKDIR: (r) => ({ ...r.common, name: "WORKDIR", path: oneWord(r, "WORKDIR") }),
};

const isKnown = (name: string): name is InstructionName => Object.hasOwn(READERS, name);

/** Throws Complaint, with a range where one word is to blame. */
export const readInstruction = (
  head: Head,
  heredocs: readonly Heredoc[],
  comments: readonly string[],
): Instruction => {
  const { keyword, line, name, flags, rest, escape } = head;
  if (!isKnown(name)) {
    const reason = `unknown instruction: ${keyword.text}`;
    const known = Object.keys(READERS);
    throw new Complaint(withSuggestion(reason, keyword.text, known, false), keyword.range);
  }
  const { start } = line.range;
  const end = heredocs.at(-1)?.range.end ?? line.range.end;
  const common: CommonFields = {
    keyword: keyword.word(),
    range: { start, end },
    source: line.text,
    flags,
    heredocs,
    comments,
  };
  return READERS[name]({ common, rest, escape });
};
