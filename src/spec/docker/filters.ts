/**
 * The `filters` query parameter: JSON of `{"label": ["a=b"]}` or the older `{"label": {"a=b": true}}`.
 * Values of one key are alternatives, except labels, which must all match.
 */
import { NaruError } from "#lib/errors.ts";

export type Filters = ReadonlyMap<string, readonly string[]>;

const valuesOf = (key: string, value: unknown): string[] => {
  // Go's null map: a filter without values.
  if (value === null) return [];
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return Object.entries(value).flatMap(([name, isOn]) => (isOn === true ? [name] : []));
  }
  throw new NaruError("invalid_argument", `invalid filter "${key}": expected a list of strings`);
};

/** Throws invalid_argument on bad JSON and on keys outside `accepted`; "any" where the peers take every key. */
export const parseFilters = (
  text: string | undefined,
  accepted: readonly string[] | "any",
): Filters => {
  const filters = new Map<string, readonly string[]>();
  if (text === undefined || text === "") return filters;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new NaruError("invalid_argument", `invalid filters: not JSON: ${text.slice(0, 80)}`, {
      cause,
    });
  }
  // What clients in Go write for filters that were never set.
  if (json === null) return filters;
  if (typeof json !== "object" || Array.isArray(json)) {
    throw new NaruError("invalid_argument", "invalid filters: expected a JSON object");
  }
  for (const [key, value] of Object.entries(json)) {
    if (accepted !== "any" && !accepted.includes(key)) {
      throw new NaruError("invalid_argument", `invalid filter '${key}'`);
    }
    filters.set(key, valuesOf(key, value));
  }
  return filters;
};

/** True when the filter is absent or one of its values satisfies `test`. */
export const matchesAny = (
  filters: Filters,
  key: string,
  test: (value: string) => boolean,
): boolean => {
  const values = filters.get(key);
  return values === undefined || values.length === 0 || values.some(test);
};

/** A filter that takes one value, such as a prune's `until`; undefined when absent. Throws invalid_argument for several. */
export const singleFilter = (filters: Filters, key: string): string | undefined => {
  const values = filters.get(key) ?? [];
  if (values.length > 1) {
    throw new NaruError(
      "invalid_argument",
      `more than one ${key} filter specified: "${values.join('", "')}"; give one`,
    );
  }
  return values[0];
};

const hasLabel = (labels: Readonly<Record<string, string>>, term: string): boolean => {
  const at = term.indexOf("=");
  if (at < 0) return term in labels;
  return labels[term.slice(0, at)] === term.slice(at + 1);
};

/** `label` terms must all hold, `label!` terms must all not hold. */
export const matchesLabels = (
  filters: Filters,
  labels: Readonly<Record<string, string>>,
): boolean =>
  (filters.get("label") ?? []).every((term) => hasLabel(labels, term)) &&
  (filters.get("label!") ?? []).every((term) => !hasLabel(labels, term));

/** One boolean filter such as `dangling`; undefined when absent. */
export const booleanFilter = (filters: Filters, key: string): boolean | undefined => {
  const values = filters.get(key);
  const value = values?.[0];
  if (values === undefined || value === undefined) return undefined;
  if (values.length > 1) {
    throw new NaruError("invalid_argument", `invalid filter '${key}=[${values.join(" ")}]'`);
  }
  if (["1", "true", "True", "TRUE", "t", "T"].includes(value)) return true;
  if (["0", "false", "False", "FALSE", "f", "F"].includes(value)) return false;
  throw new NaruError("invalid_argument", `invalid filter '${key}=[${value}]'`);
};
