/** Option values as they stand in the config file and on the command line, each checked for its kind. */
import { existsSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { NaruError } from "#lib/errors.ts";
import { OPTIONS, type OptionKind, type OptionSpec } from "#daemon/options.ts";

/** By config file key. */
export type OptionValues = Map<string, unknown>;

/** Throws invalid_argument. */
export const invalid = (message: string, cause?: unknown): never => {
  throw new NaruError("invalid_argument", message, cause === undefined ? {} : { cause });
};

const KIND_WORDS: Readonly<Record<OptionKind, string>> = {
  string: "a text",
  boolean: "true or false",
  number: "a whole number of 0 or more",
  list: "a list of texts",
  map: "an object of texts",
  object: "an object",
  objects: "a list of objects",
};

const isOfKind = (kind: OptionKind, value: unknown): boolean => {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  switch (kind) {
    case "string":
      return typeof value === "string";
    case "boolean":
      return typeof value === "boolean";
    case "number":
      return Number.isInteger(value) && Number(value) >= 0;
    case "list":
      return Array.isArray(value) && value.every((item) => typeof item === "string");
    case "map":
      return isObject && Object.values(value).every((item) => typeof item === "string");
    case "object":
      return isObject;
    case "objects":
      return Array.isArray(value) && value.every((item) => isOfKind("object", item));
  }
};

/** Keys a config file may hold: all but its own name. */
const FILE_OPTIONS = OPTIONS.filter((spec) => spec.key !== "config-file");

/** `isRequired`: named by the user, so it must exist. */
export const readFileValues = (path: string, isRequired: boolean): OptionValues => {
  const values: OptionValues = new Map();
  if (!existsSync(path)) {
    return isRequired ? invalid(`config file "${path}" does not exist`) : values;
  }
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    return invalid(`config file "${path}" is not JSON: ${String(cause)}`, cause);
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    return invalid(`config file "${path}" must hold a JSON object`);
  }
  for (const [key, value] of Object.entries(json)) {
    const spec = FILE_OPTIONS.find((candidate) => candidate.key === key);
    if (spec === undefined) {
      return invalid(
        `config file "${path}": unknown key "${key}" (known: ${FILE_OPTIONS.map((o) => o.key).join(", ")})`,
      );
    }
    if (!isOfKind(spec.kind, value)) {
      return invalid(
        `config file "${path}": "${key}" must be ${KIND_WORDS[spec.kind]}, not ${JSON.stringify(value)}`,
      );
    }
    values.set(key, value);
  }
  return values;
};

const pairOf = (spec: OptionSpec, item: string): [string, string] => {
  const at = item.indexOf("=");
  return at > 0
    ? [item.slice(0, at), item.slice(at + 1)]
    : invalid(`--${spec.flag} "${item}" must be key=value`);
};

const convertFlag = (spec: OptionSpec, raw: string | boolean | (string | boolean)[]): unknown => {
  const list = Array.isArray(raw) ? raw.map(String) : [String(raw)];
  switch (spec.kind) {
    case "boolean":
      return raw === true;
    case "number":
      return /^\d+$/.test(list.at(-1) ?? "")
        ? Number(list.at(-1))
        : invalid(`--${spec.flag} must be ${KIND_WORDS.number}, not "${list.at(-1)}"`);
    case "list":
      return list;
    case "map":
      return Object.fromEntries(list.map((item) => pairOf(spec, item)));
    case "objects":
      return list.map((item) =>
        Object.fromEntries(item.split(",").map((part) => pairOf(spec, part))),
      );
    case "object":
      return invalid(`--${spec.flag} can only be set in the config file`);
    case "string":
      return list.at(-1);
  }
};

/** "--tlsverify", "--tlsverify=true" and "--tlsverify=false" work for booleans, as with dockerd. */
const splitBooleans = (argv: readonly string[]): { args: string[]; booleans: OptionValues } => {
  const booleans: OptionValues = new Map();
  const args = argv.filter((arg) => {
    const match = /^--([\w-]+)=(true|false)$/.exec(arg);
    const spec = OPTIONS.find(({ flag, kind }) => kind === "boolean" && flag === match?.[1]);
    if (spec !== undefined) booleans.set(spec.key, match?.[2] === "true");
    return spec === undefined;
  });
  return { args, booleans };
};

/** Throws invalid_argument for flags that are unknown or of the wrong kind. */
export const readFlagValues = (argv: readonly string[]): OptionValues => {
  const options = Object.fromEntries(
    OPTIONS.map((spec) => [
      spec.flag,
      {
        type: spec.kind === "boolean" ? ("boolean" as const) : ("string" as const),
        multiple: spec.kind === "list" || spec.kind === "map",
        ...(spec.short === undefined ? {} : { short: spec.short }),
      },
    ]),
  );
  const { args, booleans } = splitBooleans(argv);
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({ args, options, strict: true, allowPositionals: false });
  } catch (cause) {
    return invalid(
      `${cause instanceof Error ? cause.message : String(cause)}\nRun 'naru daemon --help' for the options`,
      cause,
    );
  }
  const values: OptionValues = new Map(booleans);
  for (const spec of OPTIONS) {
    const raw = parsed.values[spec.flag];
    if (raw !== undefined) values.set(spec.key, convertFlag(spec, raw));
  }
  return values;
};
