/** The shapes that many attributes share. */
import { singlePrecision } from "#spec/compose/go-number.ts";
import type { Node } from "#spec/compose/node.ts";
import { list, map, scalar, toPlain } from "#spec/compose/node.ts";
import type { ListRules, Reading, Shape } from "#spec/compose/shape.ts";
import { define, dict, listOf, value } from "#spec/compose/shape.ts";
import { parseBytes, parseDuration } from "#spec/compose/units.ts";
import { formatDuration } from "#lib/duration.ts";
import { splitWords } from "#spec/compose/words.ts";
import { cleanPath } from "#lib/path.ts";

export const text = value("text; put it in quotes", (given) =>
  typeof given === "string" ? given : undefined,
);

/** Numbers and booleans are taken as they are written. */
const takenAsText = value("text", (given) => String(given));
export const anyText: Shape = {
  ...takenAsText,
  read: (node, path, reading) =>
    node.kind === "scalar" && node.written !== undefined && !reading.hasVariables
      ? scalar(node, node.written)
      : takenAsText.read(node, path, reading),
};

export const oneOfWords = (...words: readonly string[]): Shape =>
  value(`one of ${words.map((word) => `"${word}"`).join(", ")}`, (given) =>
    typeof given === "string" && words.includes(given) ? given : undefined,
  );

export const matching = (pattern: RegExp, what: string): Shape =>
  value(what, (given) => (typeof given === "string" && pattern.test(given) ? given : undefined));

const toNumber = (given: string | number | boolean): number | undefined => {
  if (typeof given === "number") return given;
  if (typeof given !== "string" || !/^[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE]\d+)?$/.test(given)) {
    return undefined;
  }
  return Number(given);
};

export const integer = (min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY): Shape => {
  const range =
    min === Number.NEGATIVE_INFINITY && max === Number.POSITIVE_INFINITY
      ? ""
      : max === Number.POSITIVE_INFINITY
        ? ` of at least ${String(min)}`
        : ` between ${String(min)} and ${String(max)}`;
  return value(`a whole number${range}`, (given) => {
    const number = toNumber(given);
    return number !== undefined && Number.isSafeInteger(number) && number >= min && number <= max
      ? number
      : undefined;
  });
};

/** Kept with the precision of a float32. */
export const decimal = value("a number", (given) => {
  const number = toNumber(given);
  return number === undefined ? undefined : singlePrecision(number);
});

const WORDS: Readonly<Record<string, boolean>> = {
  true: true,
  y: true,
  yes: true,
  on: true,
  false: false,
  n: false,
  no: false,
  off: false,
};

export const boolean = value("true or false", (given) =>
  typeof given === "boolean"
    ? given
    : typeof given === "string"
      ? WORDS[given.toLowerCase()]
      : undefined,
);

const bytesOf = (given: string | number | boolean): string | undefined => {
  const bytes = typeof given === "boolean" ? undefined : parseBytes(String(given));
  return bytes === undefined ? undefined : String(bytes);
};

/** Printed as text, in bytes. */
export const bytes = value('an amount of bytes like "64m"', bytesOf, {
  tidy: (given) => (given === "0" ? "" : given),
});

const durationOf = (given: string | number | boolean): string | undefined => {
  const nanoseconds = typeof given === "string" ? parseDuration(given) : undefined;
  return nanoseconds === undefined ? undefined : formatDuration(nanoseconds);
};

/** "0s" says something: no wait at all. */
export const duration = value('a duration like "1m30s"', durationOf, { isKept: true });
/** "0s" is the default and not printed. */
export const optionalDuration = value('a duration like "1m30s"', durationOf, {
  tidy: (given) => (given === "0s" ? "" : given),
});

/** Text is read as octal, as `chmod` does; printed with a leading 0. */
export const fileMode = value('a file mode like "0440"', (given) => {
  const bits =
    typeof given === "number"
      ? given
      : typeof given === "string" && /^[0-7]+$/.test(given)
        ? Number.parseInt(given, 8)
        : undefined;
  return bits === undefined || !Number.isInteger(bits) ? undefined : `0${bits.toString(8)}`;
});

export const texts = (rules: ListRules = {}): Shape => listOf(text, toPlain, rules);
export const anyTexts = (rules: ListRules = {}): Shape => listOf(anyText, toPlain, rules);

/** Distinct within one file, and the same text of two files counts once. */
export const distinctTexts = texts({ isDistinct: true, key: String });

const asList = (node: Node): Node | undefined =>
  node.kind === "scalar" && typeof node.value === "string"
    ? list(node, [scalar({ place: node.place }, node.value)])
    : undefined;

/** One text, or a list of them. */
export const textOrTexts = (rules: ListRules = {}): Shape =>
  texts({ short: asList, shortName: "text", ...rules });

export const asText = (item: unknown): string =>
  typeof item === "string" ? item : JSON.stringify(item);

/** The name before "=": the key under which lists of settings are unique. */
export const beforeEquals = (item: unknown): string => asText(item).split("=")[0] ?? "";

/** A list of words as it is, or a line that is split as a shell would; never merged. */
export const command: Shape = define(
  (node, path, reading) => {
    if (node.kind === "list") {
      return list(
        node,
        node.items.map((item, at) => text.read(item, `${path}[${String(at)}]`, reading)),
      );
    }
    if (node.kind === "scalar" && node.value === null) return node;
    if (node.kind === "scalar" && typeof node.value === "string") {
      // The words of a line are known when its variables are.
      if (reading.hasVariables) return node;
      const words = splitWords(node.value);
      if (words !== undefined) {
        return list(
          node,
          words.map((word) => scalar({ place: node.place }, word)),
        );
      }
      reading.problem(node, path, "a quote is not closed");
      return node;
    }
    reading.problem(node, path, "must be text or a list of texts");
    return node;
  },
  { isKept: true, tidy: (given) => given ?? undefined },
);

/** A list of `KEY=value` as a mapping; undefined for anything else. */
export const settingsFromList = (node: Node, missing: null | ""): Node | undefined => {
  if (node.kind !== "list") return undefined;
  if (!node.items.every((item) => item.kind === "scalar" && typeof item.value === "string")) {
    return undefined;
  }
  return map(
    node,
    node.items.map((item) => {
      const line = String(item.kind === "scalar" ? item.value : "");
      const at = line.indexOf("=");
      const given = at < 0 ? missing : line.slice(at + 1);
      return [at < 0 ? line : line.slice(0, at), scalar(item, given)];
    }),
  );
};

const setting = (missing: null | ""): Shape =>
  define(
    (node, path, reading) => {
      if (node.kind !== "scalar") {
        reading.problem(node, path, "must be text, a number, true, false or empty");
        return node;
      }
      if (reading.hasVariables) return node;
      if (node.value === null) return scalar(node, missing);
      return scalar(node, node.written ?? String(node.value));
    },
    { isKept: true },
  );

/** `KEY: value`, or a list of `KEY=value`. `missing` is what a key without value stands for. */
export const settings = (missing: null | ""): Shape =>
  dict(setting(missing), {
    short: (node) => settingsFromList(node, missing),
    shortName: 'a list of "KEY=value"',
    isOfLines: true,
  });

/** Text values under names of the user's own. */
export const options: Shape = dict(setting(""));

/** Folder and path as one absolute path; `~` is the user's home. */
export const resolvePath = (path: string, reading: Reading): string => {
  if (reading.folder === undefined) return path;
  const expanded =
    reading.home !== undefined && (path === "~" || path.startsWith("~/"))
      ? reading.home + path.slice(1)
      : path;
  const whole = expanded.startsWith("/") ? expanded : `${reading.folder}/${expanded}`;
  return cleanPath(whole);
};

/** A path on this machine, made absolute. */
export const path: Shape = define((node, at, reading) => {
  const read = text.read(node, at, reading);
  if (read.kind !== "scalar" || typeof read.value !== "string" || read.value === "") return read;
  return scalar(read, resolvePath(read.value, reading));
});

const REMOTE = /^(?:[a-z][a-z+.-]*:\/\/|git@|github\.com\/)|^[a-z][a-z-]*:[^/]/;

/** A folder on this machine, or something the builder fetches by itself. */
export const context: Shape = define((node, at, reading) => {
  const read = text.read(node, at, reading);
  if (read.kind !== "scalar" || typeof read.value !== "string") return read;
  if (REMOTE.test(read.value)) return read;
  return scalar(read, resolvePath(read.value, reading));
});
