/** The wildcards of COPY and ADD sources: Go's path/filepath.Match, for one path component. */
import { NaruError } from "#lib/errors.ts";

export const hasWildcard = (text: string): boolean => /[*?[\\]/.test(text);

const bad = (pattern: string): never => {
  throw new NaruError("invalid_argument", `syntax error in pattern "${pattern}"`);
};

const escapeChar = (char: string): string => char.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");

/** "[a-z]" from its "[" on; returns the class and where it ends. */
const classAt = (pattern: string, start: number): { text: string; end: number } => {
  let at = start + 1;
  let text = "[";
  if (pattern[at] === "^") {
    text += "^";
    at += 1;
  }
  for (let count = 0; ; count += 1) {
    const char = pattern[at];
    if (char === undefined) return bad(pattern);
    if (char === "]" && count > 0) return { text: `${text}]`, end: at + 1 };
    if (char === "\\") at += 1;
    const literal = pattern[at];
    if (literal === undefined || (char !== "\\" && (literal === "]" || literal === "-"))) {
      return bad(pattern);
    }
    text += escapeChar(literal);
    at += 1;
    if (pattern[at] !== "-" || pattern[at + 1] === "]") continue;
    at += 1;
    if (pattern[at] === "\\") at += 1;
    const high = pattern[at];
    if (high === undefined) return bad(pattern);
    text += `-${escapeChar(high)}`;
    at += 1;
  }
};

/** Matches whole names. Throws invalid_argument for a bad pattern. */
export const globExpression = (pattern: string): RegExp => {
  let text = "";
  for (let at = 0; at < pattern.length;) {
    const char = pattern[at] ?? "";
    if (char === "[") {
      const found = classAt(pattern, at);
      text += found.text;
      at = found.end;
      continue;
    }
    at += 1;
    if (char === "*") text += "[^/]*";
    else if (char === "?") text += "[^/]";
    else if (char === "\\") {
      const next = pattern[at];
      if (next === undefined) return bad(pattern);
      text += escapeChar(next);
      at += 1;
    } else text += escapeChar(char);
  }
  return new RegExp(`^${text}$`, "su");
};

/** The text that a pattern without real wildcards stands for. */
export const unescapeGlob = (pattern: string): string => pattern.replace(/\\(.)/gs, "$1");
