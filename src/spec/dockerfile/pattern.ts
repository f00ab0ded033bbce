/**
 * Patterns of `${name#pattern}` and its kin: `*` any text, `?` any character, `\` makes either of them
 * (and itself) literal. Neither `*` nor `?` goes over a line's end. No brackets.
 */
import { Complaint } from "#spec/dockerfile/error.ts";

type Token = { readonly kind: "any" | "star" } | { readonly kind: "char"; readonly char: string };

const escaped = (char: string | undefined, pattern: string): Token => {
  // `}` and `/` have to be escaped for the substitution's own sake.
  if (char !== undefined && "*?\\}/".includes(char)) return { kind: "char", char };
  throw new Complaint(
    `invalid pattern (${pattern}) in substitution: invalid escape '\\${char ?? ""}'`,
  );
};

const tokensOf = (pattern: string): Token[] => {
  const chars = Array.from(pattern);
  const tokens: Token[] = [];
  for (let at = 0; at < chars.length; at += 1) {
    const char = chars[at] ?? "";
    if (char === "*") tokens.push({ kind: "star" });
    else if (char === "?") tokens.push({ kind: "any" });
    else if (char === "\\") {
      at += 1;
      tokens.push(escaped(chars[at], pattern));
    } else tokens.push({ kind: "char", char });
  }
  return tokens;
};

/** Positions in the pattern that can be reached without reading: past stars, which may stand for nothing. */
const settle = (tokens: readonly Token[], states: ReadonlySet<number>): Set<number> => {
  const all = new Set(states);
  for (const state of all) if (tokens[state]?.kind === "star") all.add(state + 1);
  return all;
};

const step = (tokens: readonly Token[], states: ReadonlySet<number>, char: string): Set<number> => {
  const next = new Set<number>();
  for (const state of states) {
    const token = tokens[state];
    if (token === undefined) continue;
    if (token.kind === "char") {
      if (token.char === char) next.add(state + 1);
    } else if (char !== "\n") next.add(token.kind === "star" ? state : state + 1);
  }
  return settle(tokens, next);
};

/** Ends of all matches that begin at `from`, shortest first. Linear in the text: no backtracking. */
const matchEnds = (tokens: readonly Token[], chars: readonly string[], from: number): number[] => {
  const ends: number[] = [];
  let states = settle(tokens, new Set([0]));
  for (let at = from; states.size > 0; at += 1) {
    if (states.has(tokens.length)) ends.push(at);
    const char = chars[at];
    if (char === undefined) break;
    states = step(tokens, states, char);
  }
  return ends;
};

/** `${name#pattern}`, longest: `${name##pattern}`. */
export const trimPrefix = (value: string, pattern: string, isLongest: boolean): string => {
  const chars = Array.from(value);
  const ends = matchEnds(tokensOf(pattern), chars, 0);
  const end = isLongest ? ends.at(-1) : ends[0];
  return end === undefined ? value : chars.slice(end).join("");
};

/** `${name%pattern}`, longest: `${name%%pattern}`. */
export const trimSuffix = (value: string, pattern: string, isLongest: boolean): string => {
  const chars = Array.from(value);
  // From the right the shortest and the longest match are found as from the left.
  const tokens = tokensOf(pattern).toReversed();
  const ends = matchEnds(tokens, chars.toReversed(), 0);
  const length = isLongest ? ends.at(-1) : ends[0];
  return length === undefined ? value : chars.slice(0, chars.length - length).join("");
};

/** `${name/pattern/replacement}`, all: `${name//pattern/replacement}`. Leftmost, longest matches. */
export const replacePattern = (
  value: string,
  pattern: string,
  replacement: string,
  isAll: boolean,
): string => {
  const chars = Array.from(value);
  const tokens = tokensOf(pattern);
  let out = "";
  let at = 0;
  let lastEnd = -1;
  while (at <= chars.length) {
    const end = matchEnds(tokens, chars, at).at(-1);
    // A match of nothing right behind another match does not count.
    if (end !== undefined && !(end === at && at === lastEnd)) {
      out += replacement;
      lastEnd = end;
      if (!isAll) return out + chars.slice(end).join("");
      if (end > at) {
        at = end;
        continue;
      }
    }
    out += chars[at] ?? "";
    at += 1;
  }
  return out;
};
