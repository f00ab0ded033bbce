/** Go template text to its tree. What is not supported is refused by name. */
import { FUNCTION_NAMES } from "#cli/template/functions.ts";
import { templateError } from "#cli/template/errors.ts";
import { lex } from "#cli/template/lexer.ts";
import type { Token } from "#cli/template/lexer.ts";
import type { Link, Node, Operand, Pipeline } from "#cli/template/syntax.ts";
import type { NaruError } from "#lib/errors.ts";

const UNSUPPORTED = new Set(["define", "template", "block"]);
const CLOSERS = new Set(["end", "else"]);

const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  "\\": "\\",
  '"': '"',
  "'": "'",
  a: "\u0007",
  b: "\b",
  f: "\f",
  v: "\v",
};

const unquote = (text: string): string | number => {
  const inner = text.slice(1, -1);
  if (text.startsWith("`")) return inner;
  const plain = inner.replaceAll(/\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)/g, (_all, code: string) =>
    /^[xu]./.test(code)
      ? String.fromCodePoint(Number.parseInt(code.slice(1), 16))
      : (ESCAPES[code] ?? code),
  );
  return text.startsWith("'") ? (plain.codePointAt(0) ?? 0) : plain;
};

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #loopDepth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#at];
  }

  #next(): Token {
    const token = this.#tokens[this.#at];
    if (token === undefined) throw this.#error("unexpected EOF");
    this.#at += 1;
    return token;
  }

  #error(reason: string): NaruError {
    const token = this.#tokens[Math.min(this.#at, this.#tokens.length - 1)];
    return templateError(token?.line ?? 1, reason);
  }

  #is(kind: Token["kind"], text?: string): boolean {
    const token = this.#peek();
    return token?.kind === kind && (text === undefined || token.text === text);
  }

  template(): Node[] {
    const nodes = this.#nodes();
    if (this.#at < this.#tokens.length) {
      throw this.#error(`unexpected {{${this.#tokens[this.#at + 1]?.text ?? ""}}}`);
    }
    return nodes;
  }

  /** Up to the end, or up to an `{{end}}` or `{{else …}}`, which is left standing. */
  #nodes(): Node[] {
    const nodes: Node[] = [];
    while (this.#at < this.#tokens.length) {
      const token = this.#next();
      if (token.kind === "text") {
        nodes.push({ kind: "text", text: token.text });
        continue;
      }
      const word = this.#peek();
      if (word?.kind === "word" && CLOSERS.has(word.text)) {
        this.#at -= 1;
        return nodes;
      }
      nodes.push(this.#action());
    }
    return nodes;
  }

  #action(): Node {
    const word = this.#peek();
    if (word?.kind === "word") {
      if (UNSUPPORTED.has(word.text)) {
        throw this.#error(`{{${word.text}}} is not supported here; write the text in place`);
      }
      if (word.text === "if" || word.text === "with" || word.text === "range") {
        this.#at += 1;
        return this.#control(word.text);
      }
      if (word.text === "break" || word.text === "continue") {
        if (this.#loopDepth === 0) throw this.#error(`{{${word.text}}} outside {{range}}`);
        this.#at += 1;
        this.#close();
        return { kind: word.text };
      }
    }
    const pipeline = this.#pipeline();
    this.#close();
    return { kind: "print", pipeline };
  }

  #close(): void {
    if (!this.#is("right")) {
      const token = this.#peek();
      throw this.#error(
        token === undefined ? "unclosed action" : `unexpected "${token.text}" in command`,
      );
    }
    this.#at += 1;
  }

  #control(kind: "if" | "with" | "range"): Node {
    const pipeline = this.#pipeline();
    this.#close();
    if (kind === "range") this.#loopDepth += 1;
    const body = this.#nodes();
    if (kind === "range") this.#loopDepth -= 1;
    return { kind, pipeline, body, otherwise: this.#otherwise() };
  }

  #otherwise(): Node[] {
    if (this.#at >= this.#tokens.length) throw this.#error("unexpected EOF");
    this.#at += 1;
    const word = this.#next();
    if (word.text === "end") {
      this.#close();
      return [];
    }
    const chained = this.#peek();
    if (chained?.kind === "word" && (chained.text === "if" || chained.text === "with")) {
      this.#at += 1;
      return [this.#control(chained.text)];
    }
    this.#close();
    const nodes = this.#nodes();
    if (this.#at >= this.#tokens.length) throw this.#error("unexpected EOF");
    this.#at += 1;
    if (this.#next().text !== "end") throw this.#error("expected end; found {{else}}");
    this.#close();
    return nodes;
  }

  #pipeline(): Pipeline {
    const { variables, isAssignment } = this.#declaration();
    const links: Link[] = [this.#link()];
    while (this.#is("operator", "|")) {
      this.#at += 1;
      links.push(this.#link());
    }
    return { variables, isAssignment, links };
  }

  #declaration(): { variables: string[]; isAssignment: boolean } {
    const start = this.#at;
    const variables: string[] = [];
    while (this.#is("variable")) {
      variables.push(this.#next().text);
      if (this.#is("operator", ":=") || this.#is("operator", "=")) {
        return { variables, isAssignment: this.#next().text === "=" };
      }
      if (!this.#is("operator", ",")) break;
      this.#at += 1;
    }
    this.#at = start;
    return { variables: [], isAssignment: false };
  }

  #link(): Link {
    const operands: Operand[] = [];
    while (!this.#is("right") && !this.#is("operator", "|") && !this.#is("operator", ")")) {
      if (this.#at >= this.#tokens.length) throw this.#error("unclosed action");
      operands.push(this.#operand());
    }
    if (operands.length === 0) throw this.#error("missing value for command");
    return operands;
  }

  #chain(): string[] {
    const chain: string[] = [];
    for (
      let token = this.#peek();
      token?.kind === "field" && !token.isSpaced;
      token = this.#peek()
    ) {
      chain.push(token.text.slice(1));
      this.#at += 1;
    }
    return chain;
  }

  #operand(): Operand {
    const token = this.#next();
    switch (token.kind) {
      case "field":
        return { kind: "field", chain: [token.text.slice(1), ...this.#chain()] };
      case "dot":
        return { kind: "dot" };
      case "variable":
        return { kind: "variable", name: token.text, chain: this.#chain() };
      case "string":
        return { kind: "literal", value: unquote(token.text) };
      case "number":
        return { kind: "literal", value: Number(token.text) };
      case "word":
        return this.#word(token.text);
      case "operator":
        if (token.text === "(") {
          const pipeline = this.#pipeline();
          if (!this.#is("operator", ")")) throw this.#error("unclosed left paren");
          this.#at += 1;
          return { kind: "group", pipeline, chain: this.#chain() };
        }
        throw this.#error(`unexpected "${token.text}" in operand`);
      case "text":
      case "left":
      case "right":
        throw this.#error(`unexpected "${token.text}" in operand`);
    }
  }

  #word(word: string): Operand {
    if (word === "true" || word === "false") return { kind: "literal", value: word === "true" };
    if (word === "nil") return { kind: "nil" };
    if (!FUNCTION_NAMES.has(word)) throw this.#error(`function "${word}" not defined`);
    return { kind: "call", name: word };
  }
}

/** Throws invalid_argument with Go's words and the line of the template. */
export const parseTemplate = (source: string): Node[] => new Parser(lex(source)).template();
