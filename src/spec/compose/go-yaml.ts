/**
 * YAML as docker compose prints it, byte for byte: the choices of go-yaml 3 (encode.go, emitterc.go,
 * sorter.go) with an indentation of two. Block style throughout, no line is ever folded.
 */
import { goNumber } from "#spec/compose/go-number.ts";
import { isPlainText } from "#spec/compose/go-plain-text.ts";

const isDigit = (letter: string): boolean => letter >= "0" && letter <= "9";
const isLetter = (letter: string): boolean => /^\p{L}$/u.test(letter);

/** The figure that begins at `from`, and where it ends. */
const figureAt = (text: readonly string[], from: number, start: number): [number, number] => {
  let value = start;
  let at = from;
  for (; at < text.length && isDigit(text[at] ?? ""); at += 1)
    value = value * 10 + Number(text[at]);
  return [value, at];
};

/** Zeros behind a figure that has begun count as figures, those in front of it do not. */
const isWithinFigure = (text: readonly string[], from: number): boolean => {
  for (let at = from - 1; at >= 0 && isDigit(text[at] ?? ""); at -= 1) {
    if (text[at] !== "0") return true;
  }
  return false;
};

const compareAt = (
  one: readonly string[],
  other: readonly string[],
  at: number,
  isAfterDigits: boolean,
): number => {
  const a = one[at] ?? "";
  const b = other[at] ?? "";
  const isFirstLetter = isLetter(a);
  const isSecondLetter = isLetter(b);
  if (isFirstLetter && isSecondLetter) return a < b ? -1 : 1;
  if (isFirstLetter || isSecondLetter) {
    return (isAfterDigits ? isFirstLetter : isSecondLetter) ? -1 : 1;
  }
  const start = (a === "0" || b === "0") && isWithinFigure(one, at) ? 1 : 0;
  const [first, firstEnd] = figureAt(one, at, start);
  const [second, secondEnd] = figureAt(other, at, start);
  if (first !== second) return first < second ? -1 : 1;
  if (firstEnd !== secondEnd) return firstEnd < secondEnd ? -1 : 1;
  return a < b ? -1 : 1;
};

/** The order of keys: "web2" before "web10", signs before letters. */
export const goKeyOrder = (one: string, other: string): number => {
  const a = Array.from(one);
  const b = Array.from(other);
  let isAfterDigits = false;
  for (let at = 0; at < a.length && at < b.length; at += 1) {
    if (a[at] !== b[at]) return compareAt(a, b, at, isAfterDigits);
    isAfterDigits = isDigit(a[at] ?? "");
  }
  return a.length - b.length;
};

/** What was written as a fraction is not told from a whole number, which have no exponent. */
const numberText = (value: number): string =>
  Number.isSafeInteger(value) ? String(value) : goNumber(value);

const ESCAPES: Readonly<Record<string, string>> = {
  "\0": "0",
  "\u0007": "a",
  "\b": "b",
  "\t": "t",
  "\n": "n",
  "\u000b": "v",
  "\f": "f",
  "\r": "r",
  "\u001b": "e",
  '"': '"',
  "\\": "\\",
  "\u0085": "N",
  "\u00a0": "_",
  "\u2028": "L",
  "\u2029": "P",
};

/** What stands in YAML as it is; letters beyond the first plane do not. */
const isPrintable = (letter: string): boolean => {
  const code = letter.codePointAt(0) ?? 0;
  if (code < 0xa0) return code === 0x0a || (code >= 0x20 && code <= 0x7e);
  return code < 0xd800 || (code >= 0xe000 && code <= 0xfffd && code !== 0xfeff);
};

const isBreak = (letter: string | undefined): boolean =>
  letter !== undefined && /^[\n\r\u0085\u2028\u2029]$/.test(letter);

const escaped = (letter: string): string => {
  const known = ESCAPES[letter];
  if (known !== undefined) return `\\${known}`;
  const code = (letter.codePointAt(0) ?? 0).toString(16).toUpperCase();
  if (code.length <= 2) return `\\x${code.padStart(2, "0")}`;
  return code.length <= 4 ? `\\u${code.padStart(4, "0")}` : `\\U${code.padStart(8, "0")}`;
};

const doubleQuoted = (text: string): string => {
  const letters = Array.from(text).map((letter) =>
    !isPrintable(letter) || isBreak(letter) || letter === '"' || letter === "\\"
      ? escaped(letter)
      : letter,
  );
  return `"${letters.join("")}"`;
};

const INDICATOR_FIRST =
  /^[#,[\]{}&*!|>'"%@`]|^(?:---|\.\.\.)|^[?:-](?:[ \t\n\r\u0085\u2028\u2029]|$)/;
const INDICATOR_WITHIN = /.:(?:[ \t\n\r\u0085\u2028\u2029]|$)|[ \t\n\r\u0085\u2028\u2029]#/s;

/** Which styles the text may be written in. */
const stylesOf = (text: string) => {
  const letters = Array.from(text);
  const hasBreak = letters.some(isBreak);
  const hasTab = text.includes("\t");
  const isSpecial = letters.some((letter) => letter !== "\t" && !isPrintable(letter));
  const isBlankEnded = /^ | $/.test(text) || isBreak(letters[0]) || isBreak(letters.at(-1));
  const hasSpaceAfterBreak = /[\n\r\u0085\u2028\u2029] /.test(text);
  const hasSpaceBeforeBreak = / [\n\r\u0085\u2028\u2029]/.test(text);
  const isSingleQuoted = !(hasSpaceAfterBreak || hasSpaceBeforeBreak || hasTab || isSpecial);
  return {
    hasBreak,
    isPlain:
      isSingleQuoted &&
      !isBlankEnded &&
      !hasBreak &&
      !INDICATOR_FIRST.test(text) &&
      !INDICATOR_WITHIN.test(text),
    isSingleQuoted,
    isBlock: text !== "" && !text.endsWith(" ") && !hasSpaceBeforeBreak && !isSpecial,
  };
};

const literal = (text: string, indent: string): string => {
  const letters = Array.from(text);
  const first = letters[0];
  const hint = first === " " || isBreak(first) ? "2" : "";
  const chomp = !isBreak(letters.at(-1))
    ? "-"
    : letters.length === 1 || isBreak(letters.at(-2))
      ? "+"
      : "";
  const lines = text.replace(/\n$/, "").split("\n");
  const body = lines.map((line) => (line === "" ? "" : `${indent}${line}`));
  return `|${hint}${chomp}\n${body.join("\n")}`;
};

/** `isKey`: on one line, whatever it is. */
const textScalar = (text: string, indent: string, isKey: boolean): string => {
  const styles = stylesOf(text);
  if (text.includes("\n") && !isKey) {
    return styles.isBlock ? literal(text, indent) : doubleQuoted(text);
  }
  if (text.includes("\n") || !isPlainText(text)) return doubleQuoted(text);
  if (styles.isPlain && text !== "") return text;
  return styles.isSingleQuoted && !styles.hasBreak
    ? `'${text.replaceAll("'", "''")}'`
    : doubleQuoted(text);
};

const scalarText = (value: unknown, indent: string): string => {
  if (typeof value === "string") return textScalar(value, indent, false);
  return typeof value === "number" ? numberText(value) : JSON.stringify(value ?? null);
};

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const MAX_SIMPLE_KEY_BYTES = 128;

/** Written behind a key or dash: on the same line what fits there, else beginning with a line end. */
const behind = (value: unknown, depth: number): string => {
  if (Array.isArray(value)) return value.length === 0 ? " []" : `\n${listText(value, depth)}`;
  if (!isObject(value)) return ` ${scalarText(value, "  ".repeat(depth))}\n`;
  return Object.keys(value).length === 0 ? " {}" : `\n${mapText(value, depth)}`;
};

const ended = (text: string): string => (text.endsWith("\n") ? text : `${text}\n`);

const listText = (items: readonly unknown[], depth: number): string => {
  const indent = "  ".repeat(depth);
  return items
    .map((item) => ended(`${indent}-${(isNested(item) ? compact : behind)(item, depth + 1)}`))
    .join("");
};

/** Keys made of figures do not keep their place in an object; no attribute is called so. */
const entriesOf = (value: Readonly<Record<string, unknown>>): [string, unknown][] => {
  const entries = Object.entries(value);
  return /^\d+$/.test(entries[0]?.[0] ?? "")
    ? entries.toSorted(([one], [other]) => goKeyOrder(one, other))
    : entries;
};

const isNested = (value: unknown): boolean =>
  Array.isArray(value) ? value.length > 0 : isObject(value) && Object.keys(value).length > 0;

/** A mapping or list that begins on the line of its dash, or of the colon of a key that stands alone. */
const compact = (value: unknown, depth: number): string => {
  const text = Array.isArray(value)
    ? listText(value, depth)
    : mapText(value as Record<string, unknown>, depth);
  return ` ${text.slice(2 * depth)}`;
};

const mapText = (value: Readonly<Record<string, unknown>>, depth: number): string => {
  const indent = "  ".repeat(depth);
  return entriesOf(value)
    .map(([key, item]) => {
      const isSimple = !key.includes("\n") && Buffer.byteLength(key) <= MAX_SIMPLE_KEY_BYTES;
      const shown = textScalar(key, `${indent}  `, isSimple);
      if (isSimple) return ended(`${indent}${shown}:${behind(item, depth + 1)}`);
      const head = `${indent}? ${shown}\n${indent}:`;
      return ended(`${head}${(isNested(item) ? compact : behind)(item, depth + 1)}`);
    })
    .join("");
};

/** A document; the keys of mappings stay in the order in which they are. */
export const goYaml = (value: Readonly<Record<string, unknown>>): string =>
  Object.keys(value).length === 0 ? "{}\n" : mapText(value, 0);
