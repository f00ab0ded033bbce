/** The functions that templates may call: Go's own and docker's. */
import { formatPrintf } from "#cli/template/printf.ts";
import { formatValue, isRecord, isTrue } from "#cli/template/values.ts";

/** Thrown by a function; the evaluator adds where it happened. */
const reject = (reason: string): never => {
  throw new Error(reason);
};

const text = (value: unknown): string =>
  typeof value === "string" ? value : reject(`expected string; found ${formatValue(value)}`);

const number = (value: unknown): number =>
  typeof value === "number" ? value : reject(`expected integer; found ${formatValue(value)}`);

const jsonOf = (value: unknown): string =>
  JSON.stringify(value === undefined ? null : value, (_key, item: unknown) => item) ?? "null";

const index = (container: unknown, ...keys: readonly unknown[]): unknown => {
  let value = container;
  for (const key of keys) {
    if (value === undefined || value === null) return reject("index of nil pointer");
    if (Array.isArray(value) || typeof value === "string") {
      const at = number(key);
      if (at < 0 || at >= value.length) return reject(`index out of range: ${String(at)}`);
      value = typeof value === "string" ? value.charCodeAt(at) : (value[at] as unknown);
    } else if (isRecord(value)) {
      value = entryOf(value, text(key));
    } else {
      return reject(`can't index item of type ${typeof value}`);
    }
  }
  return value;
};

/** A map of strings answers "" for a missing key, as Go's zero value does. */
const entryOf = (map: Record<string, unknown>, key: string): unknown => {
  if (Object.hasOwn(map, key)) return map[key];
  return Object.values(map).every((item) => typeof item === "string") ? "" : undefined;
};

const lengthOf = (value: unknown): number => {
  if (typeof value === "string") return Buffer.byteLength(value);
  if (Array.isArray(value)) return value.length;
  if (isRecord(value)) return Object.keys(value).length;
  return value === null ? 0 : reject(`len of type ${typeof value}`);
};

const equals = (a: unknown, b: unknown): boolean => {
  if ((a ?? null) === null || (b ?? null) === null) return (a ?? null) === (b ?? null);
  if (typeof a === "object" || typeof b === "object") return reject("non-comparable type");
  if (typeof a !== typeof b) return reject("incompatible types for comparison");
  return a === b;
};

const isLess = (a: unknown, b: unknown): boolean => {
  if (typeof a === "number" && typeof b === "number") return a < b;
  if (typeof a === "string" && typeof b === "string") return a < b;
  return reject("incompatible types for comparison");
};

const slice = (value: unknown, from: unknown = 0, to?: unknown): unknown => {
  if (typeof value !== "string" && !Array.isArray(value)) return reject("can't slice this item");
  const end = to === undefined ? value.length : number(to);
  const start = number(from);
  if (start < 0 || end > value.length || start > end) {
    return reject(`index out of range: ${String(end > value.length ? end : start)}`);
  }
  return value.slice(start, end);
};

const print = (...values: readonly unknown[]): string =>
  values
    .map((value, at) => {
      const previous = values[at - 1];
      const isApart = at > 0 && typeof value !== "string" && typeof previous !== "string";
      return (isApart ? " " : "") + formatValue(value);
    })
    .join("");

export type TemplateFunction = (...values: readonly unknown[]) => unknown;

const title = (value: unknown): string =>
  text(value).replaceAll(
    /(^|\s)(\p{L})/gu,
    (_all, space: string, letter: string) => space + letter.toUpperCase(),
  );

const listOf = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? value : value === null ? [] : reject("expected a list of strings");

export const functions: Readonly<Record<string, TemplateFunction>> = {
  json: jsonOf,
  join: (list, separator) =>
    listOf(list)
      .map((item) => formatValue(item))
      .join(text(separator)),
  split: (value, separator) => text(value).split(text(separator)),
  lower: (value) => text(value).toLowerCase(),
  upper: (value) => text(value).toUpperCase(),
  title,
  pad: (value, before, after) =>
    text(value) === "" ? "" : " ".repeat(number(before)) + text(value) + " ".repeat(number(after)),
  truncate: (value, length) => Array.from(text(value)).slice(0, number(length)).join(""),
  print,
  println: (...values) => `${values.map((value) => formatValue(value)).join(" ")}\n`,
  printf: (format, ...values) => formatPrintf(text(format), values),
  len: lengthOf,
  index,
  slice,
  eq: (first, ...others) =>
    others.length === 0
      ? reject("missing argument for comparison")
      : others.some((item) => equals(first, item)),
  ne: (a, b) => !equals(a, b),
  lt: isLess,
  le: (a, b) => isLess(a, b) || equals(a, b),
  gt: (a, b) => isLess(b, a),
  ge: (a, b) => isLess(b, a) || equals(a, b),
  not: (value) => !isTrue(value),
  html: (value) =>
    formatValue(value)
      .replaceAll("&", "&amp;")
      .replaceAll("<", "&lt;")
      .replaceAll(">", "&gt;")
      .replaceAll('"', "&#34;")
      .replaceAll("'", "&#39;"),
  urlquery: (value) => encodeURIComponent(formatValue(value)).replaceAll("%20", "+"),
};

/** `and` and `or` stop at the deciding operand, so the evaluator does them itself. */
export const FUNCTION_NAMES: ReadonlySet<string> = new Set([
  ...Object.keys(functions),
  "and",
  "or",
]);

const asIs: TemplateFunction = (value) => value;
const FOR_HEADERS: readonly string[] = [
  "json",
  "title",
  "lower",
  "upper",
  "truncate",
  "pad",
  "split",
  "join",
];

/** A table's head goes through the same template; its words stay as they are. */
export const headerFunctions: Readonly<Record<string, TemplateFunction>> = {
  ...functions,
  ...Object.fromEntries(FOR_HEADERS.map((name) => [name, asIs])),
};
