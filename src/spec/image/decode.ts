/** Reading untrusted JSON: each function returns the typed value or throws invalid_argument naming the field. */
import { NaruError } from "#lib/errors.ts";
import { type Digest, isDigest } from "#spec/image/digest.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

const refuse = (what: string, expected: string): never => {
  throw new NaruError("invalid_argument", `invalid ${what}: expected ${expected}`);
};

export const decodeJson = (text: string, what: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new NaruError("invalid_argument", `invalid ${what}: not JSON`, { cause });
  }
};

export const asObject = (value: unknown, what: string): JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as JsonObject)
    : refuse(what, "an object");

/** null and absent are the empty list, as Go's JSON has it. */
export const asArray = (value: unknown, what: string): readonly unknown[] => {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : refuse(what, "a list");
};

export const asString = (value: unknown, what: string): string =>
  typeof value === "string" ? value : refuse(what, "a string");

/** null, absent and "" are undefined. */
export const asOptionalString = (value: unknown, what: string): string | undefined => {
  if (value === undefined || value === null || value === "") return undefined;
  return asString(value, what);
};

export const asSize = (value: unknown, what: string): number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0
    ? value
    : refuse(what, "a number of bytes");

export const asDigest = (value: unknown, what: string): Digest => {
  const text = asString(value, what);
  return isDigest(text)
    ? text
    : refuse(what, `a sha256 or sha512 digest, not "${text.slice(0, 80)}"`);
};

export const asStringMap = (value: unknown, what: string): Record<string, string> => {
  const map: Record<string, string> = {};
  if (value === undefined || value === null) return map;
  for (const [key, item] of Object.entries(asObject(value, what))) {
    map[key] = asString(item, `${what}.${key}`);
  }
  return map;
};
