/** ADD and COPY. */
import type {
  AddInstruction,
  CopyInstruction,
  InlineFile,
  Word,
} from "#spec/dockerfile/dockerfile.ts";
import { Complaint } from "#spec/dockerfile/error.ts";
import { type FlagKinds, FlagSet } from "#spec/dockerfile/flags.ts";
import { chomp, parseHeredocWord } from "#spec/dockerfile/heredoc.ts";
import { type Request, readJsonList } from "#spec/dockerfile/instruction/request.ts";
import { splitAtBlanks } from "#spec/dockerfile/words.ts";

const BOTH: FlagKinds = { chown: "text", chmod: "text", link: "bool", exclude: "list" };
const COPY_FLAGS: FlagKinds = { ...BOTH, from: "text", parents: "bool" };
const ADD_FLAGS: FlagKinds = {
  ...BOTH,
  "keep-git-dir": "bool",
  checksum: "text",
  unpack: "bool",
};

const readArguments = (request: Request): readonly Word[] => {
  const list = readJsonList(request.rest);
  const { range } = request.rest;
  if (list !== undefined) return list.map((text) => ({ text, range }));
  return splitAtBlanks(request.rest).map((part) => part.word());
};

/** The source's here-document, when it is one. */
const inlineFile = (source: Word, request: Request): InlineFile | undefined => {
  const start = parseHeredocWord(source.text);
  const heredoc = request.common.heredocs.findLast((h) => h.name === start?.name);
  if (start === undefined || heredoc === undefined) return undefined;
  const content = start.isChomped ? chomp(heredoc.content) : heredoc.content;
  return { path: start.name, content, isExpanded: start.isExpanded };
};

const readTransfer = (request: Request, name: "ADD" | "COPY", flags: FlagSet) => {
  const words = readArguments(request);
  const destination = words.at(-1);
  if (destination === undefined || words.length < 2) {
    const reason = "requires at least two arguments, but only one was provided";
    throw new Complaint(`${name} ${reason}. Destination could not be determined`);
  }
  if (parseHeredocWord(destination.text) !== undefined) {
    throw new Complaint(`${name} cannot accept a heredoc as a destination`, destination.range);
  }
  const sources: Word[] = [];
  const inlineFiles: InlineFile[] = [];
  for (const word of words.slice(0, -1)) {
    const file = inlineFile(word, request);
    if (file === undefined) sources.push(word);
    else inlineFiles.push(file);
  }
  return {
    ...request.common,
    sources,
    inlineFiles,
    destination,
    chown: flags.text("chown"),
    chmod: flags.text("chmod"),
    isLink: flags.bool("link") ?? false,
    excludes: flags.list("exclude"),
  };
};

export const readCopy = (request: Request): CopyInstruction => {
  const flags = new FlagSet(request.common.flags, COPY_FLAGS);
  return {
    ...readTransfer(request, "COPY", flags),
    name: "COPY",
    from: flags.text("from"),
    isParents: flags.bool("parents") ?? false,
  };
};

export const readAdd = (request: Request): AddInstruction => {
  const flags = new FlagSet(request.common.flags, ADD_FLAGS);
  return {
    ...readTransfer(request, "ADD", flags),
    name: "ADD",
    keepGitDir: flags.bool("keep-git-dir"),
    checksum: flags.text("checksum"),
    unpack: flags.bool("unpack"),
  };
};
