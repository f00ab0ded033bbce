/** Splits a Go template into text and actions, and an action into tokens (package text/template). */
import { templateError } from "#cli/template/errors.ts";

export type TokenKind =
  | "text"
  | "left"
  | "right"
  | "string"
  | "number"
  | "field"
  | "dot"
  | "variable"
  | "word"
  | "operator";

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  readonly line: number;
  /** `.A.B` is one chain, `.A .B` are two operands. */
  readonly isSpaced: boolean;
}

/** Plain ranges: classes like \\p{L} take a millisecond to compile. */
const PATTERNS: readonly (readonly [TokenKind, RegExp])[] = [
  ["string", /"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\\n]|\\.)+'/y],
  ["number", /[+-]?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/y],
  ["field", /\.[A-Za-z_\u0080-\uFFFF][\w\u0080-\uFFFF]*/y],
  ["dot", /\./y],
  ["variable", /\$[\w\u0080-\uFFFF]*/y],
  ["word", /[A-Za-z_\u0080-\uFFFF][\w\u0080-\uFFFF]*/y],
  ["operator", /:=|[|(),=]/y],
];

const matchAt = (source: string, offset: number): [TokenKind, string] | undefined => {
  for (const [kind, pattern] of PATTERNS) {
    pattern.lastIndex = offset;
    const match = pattern.exec(source);
    if (match !== null) return [kind, match[0]];
  }
  return undefined;
};

const lineAt = (source: string, offset: number): number =>
  source.slice(0, offset).split("\n").length;

/** Tokens of one action; returns the offset behind its `}}`. */
const lexAction = (source: string, start: number, tokens: Token[]): number => {
  let isSpaced = false;
  for (let offset = start; offset < source.length;) {
    const line = lineAt(source, offset);
    const close = /\s+-\}\}|\}\}/y;
    close.lastIndex = offset;
    const closing = close.exec(source);
    if (closing !== null) {
      tokens.push({ kind: "right", text: closing[0].trim(), line, isSpaced });
      return offset + closing[0].length;
    }
    const space = /\s+/y;
    space.lastIndex = offset;
    const blank = space.exec(source);
    if (blank !== null) {
      isSpaced = true;
      offset += blank[0].length;
      continue;
    }
    const match = matchAt(source, offset);
    if (match === undefined) {
      const char = source[offset] ?? "";
      const what = char === '"' || char === "`" ? "unterminated quoted string" : "";
      throw templateError(line, what || `unexpected "${char}" in operand`);
    }
    tokens.push({ kind: match[0], text: match[1], line, isSpaced });
    isSpaced = false;
    offset += match[1].length;
  }
  throw templateError(lineAt(source, start), "unclosed action");
};

export const lex = (source: string): Token[] => {
  const tokens: Token[] = [];
  let isTrimmed = false;
  for (let offset = 0; offset < source.length;) {
    const open = source.indexOf("{{", offset);
    const end = open < 0 ? source.length : open;
    let text = source.slice(offset, end);
    if (isTrimmed) text = text.trimStart();
    const isLeftTrim = open >= 0 && /^\{\{-\s/.test(source.slice(open, open + 4));
    if (isLeftTrim) text = text.trimEnd();
    if (text !== "") {
      tokens.push({ kind: "text", text, line: lineAt(source, offset), isSpaced: false });
    }
    if (open < 0) break;
    const bodyStart = open + (isLeftTrim ? 3 : 2);
    const comment = /^\s*\/\*[\s\S]*?\*\/\s*(-)?\}\}/.exec(source.slice(bodyStart));
    if (comment !== null) {
      isTrimmed = comment[1] === "-";
      offset = bodyStart + comment[0].length;
      continue;
    }
    tokens.push({ kind: "left", text: "{{", line: lineAt(source, open), isSpaced: false });
    offset = lexAction(source, bodyStart, tokens);
    isTrimmed = tokens.at(-1)?.text === "-}}";
  }
  return tokens;
};
