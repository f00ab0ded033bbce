/**
 * The usual compose file in one pass: block and one-line flow collections, plain and quoted text on
 * one line, `|` blocks, comments. All else (anchors, tags, merges, folded or many-lined text, several
 * documents, whatever is wrong) is left to the library of yaml.ts, which takes 9 ms of a command's 30
 * to get going. What is read here is the same to the last place: quick-yaml.test.ts compares the two.
 */
import type { Node, Place } from "#spec/compose/node.ts";
import { plainNode } from "#spec/compose/plain-scalar.ts";

const MAX_LENGTH = 200_000;
const MAX_DEPTH = 50;

/** Thrown where the library shall look; never leaves this file. */
class Unusual extends Error {}
const leave = (): never => {
  throw new Unusual();
};

// Tabs, carriage returns, other control characters, byte order marks and odd line ends.
// oxlint-disable-next-line no-control-regex -- these are what is looked for
const ODD = /[\u0000-\u0009\u000B-\u001F\u007F-\u009F\uFEFF\u2028\u2029\uD800-\uDFFF]/;
const KEY = /^(?:([\w./][\w./-]*)|"([^"\\]*)"|'([^']*)') *:(?: +|$)/;
const FLOW_KEY = /([\w./][\w./-]*) *: +/y;
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", '"': '"', "\\": "\\" };

const isEnd = (rest: string): boolean => /^(?: *| +#.*)$/.test(rest);

/** Quoted text that begins at `at`: its value, and where it ends. */
const quotedAt = (text: string, at: number): { readonly value: string; readonly end: number } => {
  const quote = text[at];
  let value = "";
  for (let index = at + 1; index < text.length; index += 1) {
    const char = text[index] ?? "";
    if (char === quote) {
      if (quote === '"' || text[index + 1] !== "'") return { value, end: index + 1 };
      index += 1;
      value += "'";
    } else if (char === "\\" && quote === '"') {
      index += 1;
      value += ESCAPES[text[index] ?? ""] ?? leave();
    } else {
      value += char;
    }
  }
  return leave();
};

/** Plain text up to a comment; it may not look like anything else. */
const plainText = (rest: string): string => {
  const comment = rest.indexOf(" #");
  const text = (comment < 0 ? rest : rest.slice(0, comment)).trimEnd();
  if (/^[,[\]{}#&*!|>'"%@`]|^[-?:](?: |$)|: |:$/.test(text)) leave();
  return text;
};

/** One flow collection or scalar of a line. */
class FlowReader {
  readonly #text: string;
  readonly #place: Place;
  at = 0;

  constructor(text: string, place: Place) {
    this.#text = text;
    this.#place = place;
  }

  #skip(): string {
    while (this.#text[this.at] === " ") this.at += 1;
    return this.#text[this.at] ?? leave();
  }

  value(depth: number): Node {
    if (depth > MAX_DEPTH) leave();
    const place = this.#place;
    const first = this.#skip();
    if (first === "[") return { kind: "list", items: this.#items(depth), place, tag: undefined };
    if (first === "{") return { kind: "map", entries: this.#entries(depth), place, tag: undefined };
    if (first === '"' || first === "'") {
      const { value, end } = quotedAt(this.#text, this.at);
      this.at = end;
      return { kind: "scalar", value, place, tag: undefined };
    }
    let end = this.at;
    while (end < this.#text.length && !"[]{},".includes(this.#text[end] ?? "")) end += 1;
    const text = this.#text.slice(this.at, end).trimEnd();
    if (text === "" || text.includes(" #") || plainText(text) !== text) leave();
    this.at = end;
    return plainNode(text, place);
  }

  /** True when the collection is over. */
  #comma(close: string): boolean {
    const next = this.#skip();
    if (next !== "," && next !== close) leave();
    this.at += 1;
    return next === close;
  }

  #items(depth: number): Node[] {
    const items: Node[] = [];
    this.at += 1;
    if (this.#skip() === "]") {
      this.at += 1;
      return items;
    }
    do items.push(this.value(depth + 1));
    while (!this.#comma("]"));
    return items;
  }

  #entries(depth: number): Map<string, Node> {
    const entries = new Map<string, Node>();
    this.at += 1;
    if (this.#skip() === "}") {
      this.at += 1;
      return entries;
    }
    do {
      this.#skip();
      FLOW_KEY.lastIndex = this.at;
      const key = FLOW_KEY.exec(this.#text)?.[1] ?? leave();
      if (entries.has(key)) leave();
      this.at = FLOW_KEY.lastIndex;
      entries.set(key, this.value(depth + 1));
    } while (!this.#comma("}"));
    return entries;
  }
}

const indentOf = (line: string): number => {
  let at = 0;
  while (line[at] === " ") at += 1;
  return at;
};

class BlockReader {
  readonly #file: string;
  readonly #lines: string[];
  #at = 0;

  constructor(file: string, text: string) {
    this.#file = file;
    this.#lines = text.split("\n");
  }

  root(): Node {
    const indent = this.#next();
    if (indent < 0) leave();
    const place = this.#place();
    const entries = this.#entries(indent, 0);
    if (this.#next() >= 0) leave();
    return { kind: "map", entries, place, tag: undefined };
  }

  #place(): Place {
    return { file: this.#file, line: this.#at + 1 };
  }

  /** Goes to the next line with content; its indentation, -1 at the end. */
  #next(): number {
    for (; this.#at < this.#lines.length; this.#at += 1) {
      const line = this.#lines[this.#at] ?? "";
      const indent = indentOf(line);
      if (indent < line.length && line[indent] !== "#") return indent;
    }
    return -1;
  }

  #entries(indent: number, depth: number): Map<string, Node> {
    if (depth > MAX_DEPTH) leave();
    const entries = new Map<string, Node>();
    while (this.#next() === indent) {
      const content = (this.#lines[this.#at] ?? "").slice(indent);
      const match = KEY.exec(content) ?? leave();
      const key = match[1] ?? match[2] ?? match[3] ?? "";
      if (entries.has(key) || key.startsWith("..") || key.startsWith("--")) leave();
      const place = this.#place();
      const rest = content.slice(match[0].length);
      entries.set(key, this.#value(rest, place, indent, indent, depth));
    }
    if (this.#next() > indent) leave();
    return entries;
  }

  /** What follows a key or a dash. `listIndent`: from here on a list may be the value. */
  #value(rest: string, place: Place, indent: number, listIndent: number, depth: number): Node {
    if (rest !== "" && !rest.startsWith("#")) {
      if (rest.startsWith("|")) return this.#literal(rest, place, indent);
      const value = this.#inline(rest, place);
      this.#at += 1;
      if (this.#next() > indent) leave();
      return value;
    }
    this.#at += 1;
    const next = this.#next();
    const isList = /^-(?: |$)/.test((this.#lines[this.#at] ?? "").slice(Math.max(next, 0)));
    if (next >= listIndent && isList) {
      return { kind: "list", items: this.#items(next, depth + 1), place, tag: undefined };
    }
    if (next > indent) {
      const content = (this.#lines[this.#at] ?? "").slice(next);
      if (!KEY.test(content)) leave();
      return { kind: "map", entries: this.#entries(next, depth + 1), place, tag: undefined };
    }
    return { kind: "scalar", value: null, place, tag: undefined };
  }

  #inline(rest: string, place: Place): Node {
    const first = rest[0];
    if (first === "[" || first === "{") {
      const reader = new FlowReader(rest, place);
      const value = reader.value(0);
      return isEnd(rest.slice(reader.at)) ? value : leave();
    }
    if (first === '"' || first === "'") {
      const { value, end } = quotedAt(rest, 0);
      if (!isEnd(rest.slice(end))) leave();
      return { kind: "scalar", value, place, tag: undefined };
    }
    return plainNode(plainText(rest), place);
  }

  #items(indent: number, depth: number): Node[] {
    if (depth > MAX_DEPTH) leave();
    const items: Node[] = [];
    while (this.#next() === indent) {
      const line = this.#lines[this.#at] ?? "";
      const match = /^-( +)(?=[^ #])/.exec(line.slice(indent));
      if (match === null) {
        // A key on the same level ends a list that stands below its own key without indentation.
        if (/^-(?: |$)/.test(line.slice(indent))) leave();
        return items;
      }
      const start = indent + match[0].length;
      const content = line.slice(start);
      const place = this.#place();
      if (KEY.test(content)) {
        this.#lines[this.#at] = " ".repeat(start) + content;
        const entries = this.#entries(start, depth + 1);
        items.push({ kind: "map", entries, place, tag: undefined });
      } else {
        items.push(this.#value(content, place, indent, indent + 1, depth));
      }
    }
    if (this.#next() > indent) leave();
    return items;
  }

  /** Text of several lines as it stands. */
  #literal(rest: string, place: Place, indent: number): Node {
    const header = /^\|(-?)(?: *| +#.*)$/.exec(rest) ?? leave();
    const lines: string[] = [];
    let own = -1;
    for (this.#at += 1; this.#at < this.#lines.length; this.#at += 1) {
      const line = this.#lines[this.#at] ?? "";
      const depth = indentOf(line);
      if (depth === line.length) {
        if (own < 0) leave();
        lines.push(line.slice(own));
        continue;
      }
      if (own < 0) own = depth;
      // A last line that does not end has another value.
      if (this.#at === this.#lines.length - 1) leave();
      if (own <= indent || depth < own) break;
      lines.push(line.slice(own));
    }
    if (lines.length === 0) leave();
    while (lines.at(-1) === "") lines.pop();
    // What is below the text but deeper than its key is wrong; blanks at its end are rare.
    if (this.#next() > indent || /^ *$/.test(lines.at(-1) ?? "")) leave();
    const value = lines.join("\n") + (header[1] === "-" ? "" : "\n");
    return { kind: "scalar", value, place, tag: undefined };
  }
}

/** The one document of the file; undefined when the library has to read it. */
export const quickYaml = (file: string, text: string): Node | undefined => {
  if (text.length > MAX_LENGTH || ODD.test(text) || /^(?:---|\.\.\.|%)/m.test(text)) {
    return undefined;
  }
  try {
    return new BlockReader(file, text).root();
  } catch (error) {
    if (error instanceof Unusual) return undefined;
    throw error;
  }
};
