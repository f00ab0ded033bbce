/**
 * The fields of a JSON body, checked as deep as they go, so that a wrong one is refused by its path
 * ("HostConfig.Mounts[0].ReadOnly") and never passed over. Rules of Go's decoder, which clients know:
 * names without regard to case, unknown names left out, null for "nothing said".
 */
import { NaruError } from "#lib/errors.ts";

/** `empty`: an object that says nothing, the values of a set. */
type Simple = "text" | "number" | "flag" | "textOrTexts" | "empty";

export type Kind =
  | Simple
  | { readonly list: Kind }
  | { readonly map: Kind }
  | { readonly fields: Fields };

export type Fields = Readonly<Record<string, Kind>>;

export const TEXTS = { list: "text" } as const;
export const TEXT_MAP = { map: "text" } as const;
export const SET = { map: "empty" } as const;

/** What Go's int64 holds. */
const NUMBER_LIMIT = 2 ** 63;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const refuse = (path: string, expected: string): never => {
  throw new NaruError("invalid_argument", `invalid JSON: "${path}" is not ${expected}`);
};

const canonical = (given: string, fields: Fields): string | undefined => {
  if (Object.hasOwn(fields, given)) return given;
  const lower = given.toLowerCase();
  return Object.keys(fields).find((name) => name.toLowerCase() === lower);
};

/** What null means where something has to be: within lists and maps. */
const nothing = (kind: Kind): unknown => {
  if (kind === "text") return "";
  if (kind === "number") return 0;
  if (kind === "flag") return false;
  return typeof kind === "object" && "list" in kind ? [] : {};
};

const checkSimple = (value: unknown, kind: Simple, path: string): unknown => {
  switch (kind) {
    case "text":
      return typeof value === "string" ? value : refuse(path, "a string");
    case "number":
      if (!Number.isInteger(value)) return refuse(path, "a whole number");
      return Math.abs(value as number) <= NUMBER_LIMIT
        ? value
        : refuse(path, "a number of 64 bits");
    case "flag":
      return typeof value === "boolean" ? value : refuse(path, "true or false");
    case "textOrTexts":
      return typeof value === "string" ? [value] : check(value, TEXTS, path);
    case "empty":
      return isObject(value) ? {} : refuse(path, "an object");
  }
};

const check = (value: unknown, kind: Kind, path: string): unknown => {
  if (typeof kind === "string") return checkSimple(value, kind, path);
  if ("list" in kind) {
    if (!Array.isArray(value)) {
      return refuse(path, kind.list === "text" ? "a list of strings" : "a list");
    }
    return value.map((item, at) =>
      item === null ? nothing(kind.list) : check(item, kind.list, `${path}[${at}]`),
    );
  }
  if (!isObject(value)) return refuse(path, "an object");
  if ("fields" in kind) return checkFields(value, kind.fields, `${path}.`);
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      item === null ? nothing(kind.map) : check(item, kind.map, `${path}["${key}"]`),
    ]),
  );
};

/**
 * A copy of `given` with names in their canonical spelling and without nulls, which mean the same as
 * absence. `where` is put in front of the names in refusals. Throws invalid_argument naming the field.
 */
export const checkFields = (
  given: Record<string, unknown>,
  fields: Fields,
  where = "",
): Record<string, unknown> => {
  const checked: Record<string, unknown> = {};
  for (const [spelling, value] of Object.entries(given)) {
    if (value === null) continue;
    const name = canonical(spelling, fields);
    const kind = name === undefined ? undefined : fields[name];
    // Unknown fields are those of newer or older APIs: Docker passes over them too.
    if (name === undefined || kind === undefined) continue;
    checked[name] = check(value, kind, `${where}${name}`);
  }
  return checked;
};
