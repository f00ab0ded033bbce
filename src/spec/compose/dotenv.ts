/**
 * Files of variables: `.env` and `env_file`. `KEY=value` a line, `export` in front is allowed, `#`
 * begins a comment, single quotes keep everything, double quotes know escapes, and both may span
 * lines; unquoted and double-quoted values have their variables replaced. A key alone takes the
 * value it has outside. With the format "raw" every line is `KEY=value` and nothing is replaced.
 */
import { InterpolationError, substitute } from "#spec/compose/interpolate.ts";
import { placedError } from "#spec/compose/node.ts";

export interface DotenvOptions {
  readonly file: string;
  /** Goes before what the file itself said above. */
  lookup(name: string): string | undefined;
  /** What files before this one said: goes after what the file itself said above. */
  known?(name: string): string | undefined;
  readonly format?: string | undefined;
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: "\u0007",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  '"': '"',
  $: "$$",
};

const unescape = (text: string): string =>
  text.replaceAll(/\\(?:0([0-7]{1,3})|([abfnrtv\\"$]))/g, (all, octal?: string, letter?: string) =>
    octal === undefined
      ? (ESCAPES[letter ?? ""] ?? all)
      : String.fromCodePoint(Number.parseInt(octal, 8)),
  );

class DotenvReader {
  readonly values: Record<string, string> = {};
  readonly #text: string;
  readonly #options: DotenvOptions;
  #at = 0;

  constructor(text: string, options: DotenvOptions) {
    this.#text = text.replaceAll("\r\n", "\n");
    this.#options = options;
  }

  get #line(): number {
    return this.#text.slice(0, this.#at).split("\n").length;
  }

  #fail(message: string): never {
    throw placedError({ file: this.#options.file, line: this.#line }, message);
  }

  read(): void {
    for (;;) {
      this.#skip(/[\s]*/y);
      if (this.#at >= this.#text.length) return;
      if (this.#text[this.#at] === "#") this.#skip(/[^\n]*/y);
      else this.#statement();
    }
  }

  #skip(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += found.length;
    return found;
  }

  #statement(): void {
    this.#skip(/export[ \t]+/y);
    const key = this.#skip(/[\p{L}\p{N}_.\-[\]]+/uy);
    this.#skip(/[ \t]*/y);
    const next = this.#text[this.#at];
    if (key === "") this.#fail(`"${this.#skip(/[^\n]*/y)}" does not begin with a name`);
    if (next === undefined || next === "\n") {
      const outside = this.#options.lookup(key);
      if (outside !== undefined) this.values[key] = outside;
      return;
    }
    if (next !== "=" && next !== ":") {
      this.#fail(`unexpected ${JSON.stringify(next)} after the name "${key}"`);
    }
    this.#at += 1;
    this.#skip(/[ \t]*/y);
    this.values[key] = this.#value();
  }

  #value(): string {
    const quote = this.#text[this.#at];
    if (quote !== '"' && quote !== "'") {
      const line = this.#skip(/[^\n]*/y);
      return this.#substitute((line.split(" #")[0] ?? "").trimEnd());
    }
    const end = this.#closing(quote);
    if (end < 0) this.#fail("a quote is not closed");
    const inside = this.#text.slice(this.#at + 1, end);
    this.#at = end + 1;
    if (quote === "'") return inside.replaceAll("\\'", "'");
    return this.#substitute(unescape(inside));
  }

  #closing(quote: string): number {
    for (let at = this.#at + 1; at < this.#text.length; at += 1) {
      if (this.#text[at] === "\\") at += 1;
      else if (this.#text[at] === quote) return at;
    }
    return -1;
  }

  #substitute(text: string): string {
    try {
      return substitute(text, {
        lookup: (name) =>
          this.#options.lookup(name) ?? this.values[name] ?? this.#options.known?.(name),
        onUnset: () => undefined,
      });
    } catch (error) {
      if (!(error instanceof InterpolationError)) throw error;
      return this.#fail(error.message);
    }
  }
}

const readRaw = (text: string, file: string): Record<string, string> => {
  const values: Record<string, string> = {};
  for (const [at, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "" || line.trimStart().startsWith("#")) continue;
    const cut = line.indexOf("=");
    if (cut <= 0) throw placedError({ file, line: at + 1 }, `"${line}" is not KEY=value`);
    values[line.slice(0, cut).trim()] = line.slice(cut + 1);
  }
  return values;
};

/** Throws with file and line; `invalid_argument` for an unknown format. */
export const parseDotenv = (text: string, options: DotenvOptions): Record<string, string> => {
  const content = text.startsWith("\uFEFF") ? text.slice(1) : text;
  const format = options.format ?? "";
  if (format === "raw") return readRaw(content, options.file);
  if (format !== "") {
    throw placedError({ file: options.file, line: 0 }, `unknown format "${format}" of an env file`);
  }
  const reader = new DotenvReader(content, options);
  reader.read();
  return reader.values;
};
