/** Cutting an instruction's arguments into words. Quotes and escapes stay in the words. */
import type { Escape, Flag } from "#spec/dockerfile/dockerfile.ts";
import { type Slice, isSpace } from "#spec/dockerfile/slice.ts";

const BLANKS = /[\t\v\f\r ]+/g;

/** Cut at blanks, whatever is quoted. */
export const splitAtBlanks = (slice: Slice): Slice[] => {
  const { text } = slice;
  if (text === "") return [];
  const words: Slice[] = [];
  let from = 0;
  for (const match of text.matchAll(BLANKS)) {
    words.push(slice.sub(from, match.index));
    from = match.index + match[0].length;
  }
  words.push(slice.sub(from));
  return words;
};

/** The part before the first blank, and the part behind that blank. */
export const cutAtBlank = (slice: Slice): readonly [head: Slice, rest: Slice | undefined] => {
  const match = slice.text.match(/[\t\v\f\r ]+/);
  if (match?.index === undefined) return [slice, undefined];
  return [slice.sub(0, match.index), slice.sub(match.index + match[0].length)];
};

interface QuotedWord {
  /** Behind the word's last character. */
  readonly end: number;
  /** The word with quotes and escapes taken away. */
  readonly plain: string;
  readonly hasQuotes: boolean;
  /** An escape at the very end, which belongs to no word. */
  readonly hasLooseEscape: boolean;
}

/** In single quotes the escape is an ordinary character for words, but not for flags. */
const readWord = (text: string, from: number, escape: Escape, isFlag: boolean): QuotedWord => {
  let quote = "";
  let plain = "";
  let hasQuotes = false;
  let at = from;
  for (; at < text.length; at += 1) {
    const char = text.charAt(at);
    if (quote === "" && isSpace(char)) break;
    if (char === escape && (isFlag || quote !== "'")) {
      if (at + 1 === text.length) return { end: at, plain, hasQuotes, hasLooseEscape: true };
      at += 1;
      plain += text.charAt(at);
      continue;
    }
    if (quote === "" && (char === "'" || char === '"')) {
      quote = char;
      hasQuotes = true;
    } else if (char === quote) quote = "";
    else plain += char;
  }
  return { end: at, plain, hasQuotes, hasLooseEscape: false };
};

/** Cut at spaces outside of quotes. */
export const splitQuoted = (slice: Slice, escape: Escape): Slice[] => {
  const { text } = slice;
  const words: Slice[] = [];
  let at = 0;
  while (at < text.length) {
    if (isSpace(text.charAt(at))) {
      at += 1;
      continue;
    }
    const word = readWord(text, at, escape, false);
    if (word.end > at) words.push(slice.sub(at, word.end));
    at = word.end + (word.hasLooseEscape ? 1 : 0);
  }
  return words;
};

const flagOf = (slice: Slice, plain: string): Flag => {
  const equals = plain.indexOf("=");
  return {
    name: plain.slice(2, equals < 0 ? undefined : equals),
    value: equals < 0 ? undefined : plain.slice(equals + 1),
    range: slice.range,
  };
};

/** Words that begin with "--" in front of the arguments; a lone "--" ends them. */
export const cutFlags = (
  slice: Slice,
  escape: Escape,
): { readonly flags: readonly Flag[]; readonly rest: Slice } => {
  const { text } = slice;
  const flags: Flag[] = [];
  let at = 0;
  while (at < text.length) {
    if (isSpace(text.charAt(at))) {
      at += 1;
      continue;
    }
    if (!text.startsWith("--", at)) return { flags, rest: slice.sub(at).trim() };
    const word = readWord(text, at, escape, true);
    const part = slice.sub(at, word.end);
    at = word.end + (word.hasLooseEscape ? 1 : 0);
    if (word.plain === "--") return { flags, rest: slice.sub(at).trim() };
    flags.push(flagOf(part, word.plain));
  }
  return { flags, rest: slice.sub(text.length) };
};
