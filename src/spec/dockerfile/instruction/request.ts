/** What a reader of one kind of instruction is given, and what it returns the common part of. */
import { csvFields } from "#spec/dockerfile/csv.ts";
import type {
  CommandLine,
  Escape,
  Flag,
  Heredoc,
  RunDevice,
  SourceRange,
  Word,
} from "#spec/dockerfile/dockerfile.ts";
import { Complaint, withSuggestion } from "#spec/dockerfile/error.ts";
import { readBool } from "#spec/dockerfile/mount.ts";
import type { Slice } from "#spec/dockerfile/slice.ts";

/** The fields that every instruction has. */
export interface CommonFields {
  readonly keyword: Word;
  readonly range: SourceRange;
  readonly source: string;
  readonly flags: readonly Flag[];
  readonly heredocs: readonly Heredoc[];
  readonly comments: readonly string[];
}

export interface Request {
  readonly common: CommonFields;
  /** Behind keyword and flags, without space around it. */
  readonly rest: Slice;
  readonly escape: Escape;
}

const JSON_STRINGS_ONLY = "when using JSON array syntax, arrays must be comprised of strings only";

/** The list in `["a", "b"]`; undefined when it is no JSON list. Throws Complaint: other things in it. */
export const readJsonList = (rest: Slice): readonly string[] | undefined => {
  const { text } = rest;
  if (!text.startsWith("[")) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // By the language's definition: what is no JSON is a line for the shell.
    return undefined;
  }
  const list = value as readonly unknown[];
  if (list.every((item) => typeof item === "string")) return list;
  throw new Complaint(JSON_STRINGS_ONLY, rest.range);
};

export const readCommand = (rest: Slice): CommandLine => {
  const args = readJsonList(rest);
  return args === undefined ? { form: "shell", line: rest.text } : { form: "exec", args };
};

export const atLeastOne = (rest: Slice, name: string): void => {
  if (rest.text === "") throw new Complaint(`${name} requires at least one argument`);
};

export const exactlyOne = (rest: Slice, name: string): Word => {
  if (rest.text === "") throw new Complaint(`${name} requires exactly one argument`);
  return rest.word();
};

const setDeviceName = (name: string, field: string): string => {
  if (name === "") return field;
  throw new Complaint(`invalid field '${field}' must be a key=value pair`);
};

/** "vendor.com/class=name", "name=…", "required". */
export const readDevice = (value: Word): RunDevice => {
  let name = "";
  let isRequired = false;
  for (const field of csvFields(value.text)) {
    const equals = field.indexOf("=");
    const key = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
    const rest = field.slice(equals + 1);
    if (key === "required") isRequired = equals < 0 || readBool(rest, key);
    else if (equals < 0) name = setDeviceName(name, field);
    else if (key === "name") {
      if (name !== "") throw new Complaint(`device name already set to ${name}`, value.range);
      name = rest;
    } else if (name === "") name = field;
    else {
      const reason = `unexpected key '${key}' in '${field}'`;
      throw new Complaint(withSuggestion(reason, key, ["name", "required"]), value.range);
    }
  }
  return { name, isRequired };
};
