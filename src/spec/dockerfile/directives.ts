/** Parser directives: `# name=value` lines before everything else, each once. */
import type { Escape, Word } from "#spec/dockerfile/dockerfile.ts";
import { Complaint } from "#spec/dockerfile/error.ts";
import { trimStart } from "#spec/dockerfile/slice.ts";

const DIRECTIVE = /^([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/;
const NAMES: readonly string[] = ["syntax", "escape", "check"];

export class DirectiveReader {
  readonly #found = new Map<string, Word>();
  #isDone = false;

  /**
   * True when the line is a directive. The first line that is none ends them; a later one that looks
   * like one is a comment. Throws Complaint: one twice, an escape that is neither \ nor `.
   */
  read(line: string, lineNumber: number): boolean {
    if (this.#isDone) return false;
    const body = line.startsWith("#") ? trimStart(line.slice(1)) : undefined;
    const match = body === undefined ? null : DIRECTIVE.exec(body);
    const name = match?.[1]?.toLowerCase() ?? "";
    if (match === null || !NAMES.includes(name)) {
      this.#isDone = true;
      return false;
    }
    const value = match[2] ?? "";
    const column = line.lastIndexOf(value) + 1;
    const range = {
      start: { line: lineNumber, column },
      end: { line: lineNumber, column: column + value.length },
    };
    if (this.#found.has(name)) {
      throw new Complaint(`only one ${name} parser directive can be used`, range);
    }
    if (name === "escape" && value !== "\\" && value !== "`") {
      throw new Complaint(`invalid escape token '${value}' does not match \` or \\`, range);
    }
    this.#found.set(name, { text: value, range });
    return true;
  }

  get escape(): Escape {
    return this.#found.get("escape")?.text === "`" ? "`" : "\\";
  }

  /** A directive's value up to its first space: what follows is for other readers. */
  get(name: "syntax" | "check"): Word | undefined {
    const word = this.#found.get(name);
    if (word === undefined) return undefined;
    const text = word.text.split(" ", 1)[0] ?? "";
    const { start } = word.range;
    const end = { line: start.line, column: start.column + text.length };
    return { text, range: { start, end } };
  }
}
