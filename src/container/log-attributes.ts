/**
 * What `logs --details` shows before each line: labels, variables and the tag that the log options
 * name (Docker's "labels", "labels-regex", "env", "env-regex", "tag"). A container keeps these for its
 * life, so they are found when the log is read and no line carries them. Pure.
 */
import { NaruError } from "#lib/errors.ts";
import type { ContainerRecord } from "#container/container.ts";

const SHORT = 12;

type Described = Pick<
  ContainerRecord,
  "id" | "name" | "imageId" | "config" | "hostConfig" | "path" | "args"
>;

/** What a tag may name, in the words of Docker's templates. */
const TAG_FIELDS: Readonly<Record<string, (record: Described) => string>> = {
  ID: ({ id }) => id.slice(0, SHORT),
  FullID: ({ id }) => id,
  Name: ({ name }) => name,
  ImageID: ({ imageId }) => imageId.slice(0, SHORT),
  ImageFullID: ({ imageId }) => imageId,
  ImageName: ({ config }) => config.Image,
  Command: ({ path, args }) => [path, ...args].join(" "),
  Hostname: ({ config }) => config.Hostname,
  DaemonName: () => "naru",
};

const ACTION = /\{\{(.*?)\}\}/g;

const fieldOf = (action: string): ((record: Described) => string) => {
  const name = /^-?\s*\.(\w+)\s*-?$/.exec(action.trim())?.[1] ?? "";
  const field = TAG_FIELDS[name];
  if (field !== undefined) return field;
  const known = Object.keys(TAG_FIELDS).map((key) => `{{.${key}}}`);
  throw new NaruError(
    "invalid_argument",
    `log option "tag": "{{${action}}}" is not known; a tag may hold ${known.join(", ")}`,
  );
};

const pattern = (option: string, text: string): RegExp => {
  try {
    return new RegExp(text);
  } catch (cause) {
    const message = `log option "${option}": "${text}" is not a regular expression`;
    throw new NaruError("invalid_argument", message, { cause });
  }
};

/** Throws invalid_argument for a tag or an expression that cannot be used. */
export const validateLogAttributes = (options: Readonly<Record<string, string>>): void => {
  for (const [, action = ""] of (options["tag"] ?? "").matchAll(ACTION)) fieldOf(action);
  for (const option of ["labels-regex", "env-regex"]) pattern(option, options[option] ?? "");
};

const chosen = function* (
  values: ReadonlyMap<string, string>,
  names: string | undefined,
  option: string,
  expression: string | undefined,
): Generator<[string, string]> {
  const wanted = new Set((names ?? "").split(",").map((name) => name.trim()));
  const matches =
    expression === undefined || expression === "" ? undefined : pattern(option, expression);
  for (const [name, value] of values) {
    if (wanted.has(name) || matches?.test(name) === true) yield [name, value];
  }
};

const variables = (env: readonly string[]): Map<string, string> =>
  new Map(
    env.flatMap((entry): [string, string][] => {
      const at = entry.indexOf("=");
      return at < 1 ? [] : [[entry.slice(0, at), entry.slice(at + 1)]];
    }),
  );

/** By name, sorted. Empty when the log options name nothing that the container has. */
export const logAttributesOf = (record: Described): ReadonlyMap<string, string> => {
  const options = record.hostConfig.LogConfig.Config;
  const found = new Map<string, string>([
    ...chosen(
      new Map(Object.entries(record.config.Labels ?? {})),
      options["labels"],
      "labels-regex",
      options["labels-regex"],
    ),
    ...chosen(
      variables(record.config.Env ?? []),
      options["env"],
      "env-regex",
      options["env-regex"],
    ),
  ]);
  const { tag } = options;
  if (tag !== undefined && tag !== "") {
    found.set(
      "tag",
      tag.replaceAll(ACTION, (_all, action: string) => fieldOf(action)(record)),
    );
  }
  return new Map([...found].toSorted(([a], [b]) => (a < b ? -1 : 1)));
};
