/**
 * The words of a Dockerfile as its shell sees them: quotes, escapes and variables. Source: the
 * Dockerfile reference, "Environment replacement"; where it is silent, the behaviour of BuildKit.
 *
 *     $name ${name}
 *     ${name:-word} ${name-word}       word when the variable is unset (with ":" also when empty)
 *     ${name:+word} ${name+word}       word when it is set (with ":" and not empty), else nothing
 *     ${name:?text} ${name?text}       an error with this text when it is unset (with ":" or empty)
 *     ${name#pattern} ${name##pattern} without the shortest / longest match at its start
 *     ${name%pattern} ${name%%pattern} without the shortest / longest match at its end
 *     ${name/pattern/text} ${name//pattern/text}  the first / every match replaced
 *
 * Single quotes keep everything; double quotes all but `$` and the escape in front of `"`, `$` and
 * itself. Elsewhere the escape makes the next character literal. Quotes and escapes are taken away.
 */
import type { Escape } from "#spec/dockerfile/dockerfile.ts";
import { Complaint } from "#spec/dockerfile/error.ts";
import { replacePattern, trimPrefix, trimSuffix } from "#spec/dockerfile/pattern.ts";
import { isSpace } from "#spec/dockerfile/slice.ts";

/** undefined: not set. */
export type Lookup = (name: string) => string | undefined;

export interface ExpandOptions {
  /** Default: backslash. */
  readonly escape?: Escape;
  /** Quotes stay in the result. */
  readonly keepsQuotes?: boolean;
  /** Escapes stay in the result. */
  readonly keepsEscapes?: boolean;
  /** What is not set stays as it was written. */
  readonly keepsUnset?: boolean;
  /** Quotes are ordinary characters: the text of a here-document. */
  readonly ignoresQuotes?: boolean;
}

export interface Expansion {
  readonly text: string;
  /** The result cut at spaces outside of quotes; spaces out of variables cut too. */
  readonly words: readonly string[];
  /** Variables that were set, and those that were not. */
  readonly used: ReadonlySet<string>;
  readonly missing: ReadonlySet<string>;
}

const DIGIT = /\p{Nd}/u;
const LETTER = /[\p{L}\p{Nd}_]/u;
const SPECIAL = "@*#?-$!0";

/** Gathers characters to words as a shell cuts them. */
class WordList {
  readonly words: string[] = [];
  #current = "";

  /** Spaces cut. */
  add(text: string): void {
    for (const char of text) {
      if (!isSpace(char)) this.#current += char;
      else this.end();
    }
  }

  /** Spaces are part of the word. */
  addQuoted(text: string): void {
    this.#current += text;
  }

  end(): void {
    if (this.#current !== "") this.words.push(this.#current);
    this.#current = "";
  }
}

interface Mode {
  readonly keepsEscapes: boolean;
  /** What is quoted is literal in a pattern too: an escape in quotes is escaped for the pattern. */
  readonly isPattern: boolean;
}

const WORD: Mode = { keepsEscapes: false, isPattern: false };
const PATTERN: Mode = { keepsEscapes: true, isPattern: true };
const REPLACEMENT: Mode = { keepsEscapes: true, isPattern: false };

/** One pass over one text. */
class Expander {
  readonly #chars: readonly string[];
  readonly #lookup: Lookup;
  readonly #options: ExpandOptions;
  readonly #escape: string;
  readonly used = new Set<string>();
  readonly missing = new Set<string>();
  #at = 0;

  constructor(text: string, lookup: Lookup, options: ExpandOptions) {
    this.#chars = Array.from(text);
    this.#lookup = lookup;
    this.#options = options;
    this.#escape = options.escape ?? "\\";
  }

  #peek(): string | undefined {
    return this.#chars[this.#at];
  }

  #next(): string | undefined {
    const char = this.#chars[this.#at];
    if (char !== undefined) this.#at += 1;
    return char;
  }

  /** Up to `stop`, which is read too, or to the end. */
  text(stop: string | undefined, mode: Mode, words?: WordList): string {
    let out = "";
    for (let char = this.#peek(); char !== undefined; char = this.#peek()) {
      if (char === stop) {
        this.#at += 1;
        return out;
      }
      if (char === "$") {
        const value = this.#dollar();
        words?.add(value);
        out += value;
        continue;
      }
      const isQuote = (char === "'" || char === '"') && this.#options.ignoresQuotes !== true;
      const literal = isQuote ? this.#quoted(char, mode) : this.#plain(char, mode.keepsEscapes);
      if (isQuote || char === this.#escape || char === "<") words?.addQuoted(literal);
      else words?.add(literal);
      out += literal;
    }
    if (stop !== undefined) {
      throw new Complaint(`unexpected end of statement while looking for matching ${stop}`);
    }
    words?.end();
    return out;
  }

  #plain(char: string, keepsEscapes: boolean): string {
    this.#at += 1;
    if (char === "<") return char + this.#heredocMark();
    if (char !== this.#escape) return char;
    return (keepsEscapes ? char : "") + (this.#next() ?? "");
  }

  /** `<< NAME` is one word, though blanks may stand before the name. */
  #heredocMark(): string {
    if (this.#peek() !== "<") return "";
    let out = this.#next() ?? "";
    while (/^[\t\r ]$/.test(this.#peek() ?? "")) out += this.#next() ?? "";
    return out;
  }

  #quoted(quote: string, mode: Mode): string {
    const mark = this.#options.keepsQuotes === true ? quote : "";
    this.#at += 1;
    let out = mark;
    for (let char = this.#peek(); char !== undefined; char = this.#peek()) {
      if (quote === '"' && char === "$") {
        out += this.#dollar();
        continue;
      }
      this.#at += 1;
      if (char === quote) return out + mark;
      if (char !== this.#escape) out += char;
      else if (quote === '"') out += this.#escapedInQuotes(mode);
      else out += mode.isPattern ? char + char : char;
    }
    const name = quote === "'" ? "single" : "double";
    throw new Complaint(`unexpected end of statement while looking for matching ${name}-quote`);
  }

  /** In double quotes only `"`, `$` and the escape itself can be escaped. */
  #escapedInQuotes({ keepsEscapes, isPattern }: Mode): string {
    const escape = this.#escape;
    const next = this.#peek();
    if (next === undefined) return "";
    if (next === '"' || next === "$" || next === escape) {
      this.#at += 1;
      return keepsEscapes ? escape + next : next;
    }
    const isDoubled = keepsEscapes && (isPattern || this.#options.keepsQuotes !== true);
    return isDoubled ? escape + escape : escape;
  }

  #name(): string {
    const first = this.#peek();
    if (first === undefined) return "";
    const isDigits = DIGIT.test(first);
    if (!isDigits && SPECIAL.includes(first)) return this.#next() ?? "";
    let name = "";
    for (let char: string | undefined = first; char !== undefined; char = this.#peek()) {
      if (!(isDigits ? DIGIT : LETTER).test(char)) break;
      name += char;
      this.#at += 1;
    }
    return name;
  }

  #value(name: string): string | undefined {
    const value = this.#lookup(name);
    (value === undefined ? this.missing : this.used).add(name);
    return value;
  }

  #dollar(): string {
    this.#at += 1;
    if (this.#peek() !== "{") {
      const name = this.#name();
      if (name === "") return "$";
      const unset = this.#options.keepsUnset === true ? `$${name}` : "";
      return this.#value(name) ?? unset;
    }
    this.#at += 1;
    const first = this.#peek();
    if (first === undefined) throw new Complaint("syntax error: missing '}'");
    if ("{}:".includes(first)) throw new Complaint("syntax error: bad substitution");
    return this.#braced(this.#name());
  }

  #braced(name: string): string {
    const char = this.#next();
    if (char === undefined) throw new Complaint("syntax error: missing '}'");
    if (char === "}") {
      const unset = this.#options.keepsUnset === true ? `\${${name}}` : "";
      return this.#value(name) ?? unset;
    }
    if (char === "/") return this.#replaced(name);
    if (!":+-?#%".includes(char)) throw this.#unsupported(char);
    const operator = char === ":" ? this.#next() : char;
    if (operator === undefined) throw new Complaint("syntax error: missing '}'");
    const isPattern = operator === "#" || operator === "%";
    if (char === ":" && isPattern) throw this.#unsupported(char + operator);
    const word = this.#until("}", isPattern ? PATTERN : WORD);
    const modifier = char === ":" ? char + operator : char;
    const value = this.#value(name);
    if (value === undefined && this.#options.keepsUnset === true) {
      return `\${${name}${modifier}${word}}`;
    }
    return this.#modified(name, value, modifier, word);
  }

  #unsupported(modifier: string): Complaint {
    return new Complaint(`unsupported modifier (${modifier}) in substitution`);
  }

  #until(stop: string, mode: Mode): string {
    try {
      return this.text(stop, mode);
    } catch (error) {
      if (this.#peek() !== undefined) throw error;
      const where = stop === "/" ? " in ${}" : "";
      throw new Complaint(`syntax error: missing '${stop}'${where}`);
    }
  }

  #modified(name: string, value: string | undefined, modifier: string, word: string): string {
    const isColon = modifier.startsWith(":");
    const isAbsent = value === undefined || (isColon && value === "");
    switch (modifier.slice(-1)) {
      case "-":
        return isAbsent ? word : value;
      case "+":
        return isAbsent ? "" : word;
      case "?": {
        if (!isAbsent) return value;
        const what = value === undefined ? "unset" : "empty";
        throw new Complaint(`${name}: ${word === "" ? `is not allowed to be ${what}` : word}`);
      }
      case "#":
      case "%": {
        const isLongest = word.startsWith(modifier);
        const pattern = isLongest ? word.slice(1) : word;
        const trim = modifier === "#" ? trimPrefix : trimSuffix;
        return trim(value ?? "", pattern, isLongest);
      }
      default:
        throw this.#unsupported(modifier);
    }
  }

  #replaced(name: string): string {
    const isAll = this.#peek() === "/";
    if (isAll) this.#at += 1;
    const pattern = this.#until("/", PATTERN);
    const replacement = this.#until("}", REPLACEMENT);
    const value = this.#value(name);
    if (value === undefined && this.#options.keepsUnset === true) {
      return `\${${name}/${pattern}/${replacement}}`;
    }
    return replacePattern(value ?? "", pattern, replacement, isAll);
  }
}

/** Runs one pass; complaints tell of the whole text. */
const pass = (
  text: string,
  expander: Expander,
  options: ExpandOptions,
  words?: WordList,
): string => {
  try {
    return expander.text(undefined, options.keepsEscapes === true ? REPLACEMENT : WORD, words);
  } catch (error) {
    if (!(error instanceof Complaint)) throw error;
    throw new Complaint(`failed to process ${JSON.stringify(text)}: ${error.message}`);
  }
};

/**
 * Expands one text. Throws Complaint: unmatched quotes, bad substitutions, `:?`. Whoever knows where the
 * text stands makes a DockerfileError of it.
 */
export const expandWord = (
  text: string,
  lookup: Lookup,
  options: ExpandOptions = {},
): Expansion => {
  const expander = new Expander(text, lookup, options);
  const out = pass(text, expander, options);
  const { used, missing } = expander;
  // Words are seldom wanted: only those who ask pay for them.
  const words = (): readonly string[] => expandWords(text, lookup, options);
  return {
    text: out,
    used,
    missing,
    get words() {
      return words();
    },
  };
};

/** Expands, then cuts at spaces. */
export const expandWords = (
  text: string,
  lookup: Lookup,
  options: ExpandOptions = {},
): readonly string[] => {
  const words = new WordList();
  pass(text, new Expander(text, lookup, options), options, words);
  return words.words;
};
