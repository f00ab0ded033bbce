/**
 * One pattern of a .dockerignore: `*` and `?` within a name, `[a-z]`, `**` over any number of names, `\`
 * before a literal character. Source: the build context's documentation, "Filename matching"; where it
 * is silent, the behaviour of Docker's clients.
 */
import { NaruError } from "#lib/errors.ts";

/** Whether a slash-separated relative path is meant by the pattern itself (not by way of a parent). */
export type PathTest = (path: string) => boolean;

const refuse = (pattern: string, reason: string): never => {
  throw new NaruError("invalid_argument", `invalid pattern "${pattern}": ${reason}`);
};

const literal = (char: string): string => char.replace(/[\\^$.*+?()[\]{}|/-]/, String.raw`\$&`);

interface Part {
  readonly source: string;
  readonly end: number;
}

/** One character of a class, escaped or not. */
const classChar = (pattern: string, at: number): readonly [char: string, end: number] => {
  const char = pattern.charAt(at);
  if (char === "\\") {
    const next = pattern.charAt(at + 1);
    if (next !== "") return [next, at + 2];
  } else if (char !== "" && char !== "-" && char !== "]") return [char, at + 1];
  return refuse(pattern, "a character class is malformed");
};

/** `[abc]`, `[^a-z]`; `at` is behind the opening bracket. */
const classPart = (pattern: string, start: number): Part => {
  let at = start;
  let source = "[";
  if (pattern.charAt(at) === "^") {
    source += "^";
    at += 1;
  }
  const first = at;
  while (at === first || pattern.charAt(at) !== "]") {
    const [low, behindLow] = classChar(pattern, at);
    source += literal(low);
    at = behindLow;
    if (pattern.charAt(at) !== "-") continue;
    const [high, behindHigh] = classChar(pattern, at + 1);
    if (high < low) return refuse(pattern, `the range "${low}-${high}" runs backwards`);
    source += `-${literal(high)}`;
    at = behindHigh;
  }
  return { source: `${source}]`, end: at + 1 };
};

// Two stars. A slash behind them belongs to them, so that they may also stand for no name at all.
const anyNames = (pattern: string, at: number): Part => {
  const end = at + (pattern.charAt(at + 2) === "/" ? 3 : 2);
  return { source: end === pattern.length ? ".*" : "(?:.*/)?", end };
};

const nextPart = (pattern: string, at: number): Part => {
  const char = pattern.charAt(at);
  const next = pattern.charAt(at + 1);
  switch (char) {
    case "*":
      return next === "*" ? anyNames(pattern, at) : { source: "[^/]*", end: at + 1 };
    case "?":
      return { source: "[^/]", end: at + 1 };
    case "[":
      return classPart(pattern, at + 1);
    case "\\":
      if (next === "") return refuse(pattern, "nothing stands behind the last backslash");
      return { source: literal(next), end: at + 2 };
    default:
      return { source: literal(char), end: at + 1 };
  }
};

const toRegExp = (pattern: string): RegExp => {
  let source = "";
  for (let at = 0; at < pattern.length;) {
    const part = nextPart(pattern, at);
    source += part.source;
    at = part.end;
  }
  return new RegExp(`^${source}$`, "s");
};

const SPECIAL = /[*?[\\]/;

/** Most patterns need no regular expression. Throws invalid_argument: malformed patterns. */
export const compileIgnorePattern = (pattern: string): PathTest => {
  if (!SPECIAL.test(pattern)) return (path) => path === pattern;
  const suffix = pattern.slice(2);
  if (pattern.startsWith("**") && !SPECIAL.test(suffix)) {
    // Without a slash, `**x` means every path that ends in x.
    const whole = suffix.startsWith("/") ? suffix.slice(1) : undefined;
    return (path) => path.endsWith(suffix) || path === whole;
  }
  const prefix = pattern.slice(0, -2);
  if (pattern.endsWith("**") && !SPECIAL.test(prefix)) return (path) => path.startsWith(prefix);
  const expression = toRegExp(pattern);
  return (path) => expression.test(path);
};

/** The names at the start that hold no wildcard: where alone the pattern can match. */
export const literalNames = (pattern: string): readonly string[] => {
  const names = pattern.split("/");
  const special = names.findIndex((name) => SPECIAL.test(name));
  return special < 0 ? names : names.slice(0, special);
};

export const hasWildcard = (pattern: string): boolean => SPECIAL.test(pattern);
