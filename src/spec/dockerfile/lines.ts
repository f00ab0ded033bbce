/** Physical lines to the lines of instructions: comments out, continuations joined. */
import type { Heredoc } from "#spec/dockerfile/dockerfile.ts";
import { type DirectiveReader } from "#spec/dockerfile/directives.ts";
import { Complaint } from "#spec/dockerfile/error.ts";
import type { HeredocStart } from "#spec/dockerfile/heredoc.ts";
import { JoinedText, type Slice, trimStart } from "#spec/dockerfile/slice.ts";

export interface LogicalLine {
  readonly text: Slice;
  readonly comments: readonly string[];
  /** The number of the last physical line. */
  readonly endLine: number;
  /** A blank line stood where it was to go on. */
  readonly hasEmptyContinuation: boolean;
}

const CONTINUED = {
  "\\": /(^|[^\\])\\[ \t]*$/,
  "`": /(^|[^`])`[ \t]*$/,
} as const;

const BYTE_ORDER_MARK = "\uFEFF";

const isComment = (line: string): boolean => trimStart(line).startsWith("#");

const withoutEnd = (line: string): string => line.replace(/[\r\n]+$/, "");

export class LineReader {
  /** With their line ends. */
  readonly #lines: readonly string[];
  readonly #directives: DirectiveReader;
  #at = 0;
  #comments: string[] = [];

  constructor(text: string, directives: DirectiveReader) {
    const start = text.startsWith(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK.length : 0;
    this.#lines = text.slice(start).match(/[^\n]*\n|[^\n]+$/g) ?? [];
    this.#directives = directives;
  }

  /** The next instruction's line, or undefined at the end. Throws Complaint: wrong directives. */
  next(): LogicalLine | undefined {
    for (;;) {
      const raw = this.#take();
      if (raw === undefined) return undefined;
      const line = trimStart(withoutEnd(raw));
      if (line.startsWith("#")) this.#comment(line);
      else {
        this.#directives.read(line, this.#at);
        if (line !== "") return this.#joined(withoutEnd(raw), line);
      }
    }
  }

  #take(): string | undefined {
    const line = this.#lines[this.#at];
    if (line !== undefined) this.#at += 1;
    return line;
  }

  #comment(line: string): void {
    if (this.#directives.read(line, this.#at)) return;
    const comment = line.slice(1).trim();
    // An empty comment parts a description from what stands above.
    if (comment === "") this.#comments = [];
    else this.#comments.push(comment);
  }

  /** `line` is `raw` without the space before it. */
  #joined(raw: string, line: string): LogicalLine {
    const joined = new JoinedText();
    const continued = CONTINUED[this.#directives.escape];
    let hasEmptyContinuation = false;
    let isContinued = false;
    const append = (text: string, column: number): void => {
      const match = continued.exec(text);
      isContinued = match !== null;
      const kept = match === null ? text : text.slice(0, match.index + (match[1] ?? "").length);
      joined.append(kept, this.#at, column);
    };
    append(line, raw.length - line.length + 1);
    while (isContinued) {
      const next = this.#take();
      if (next === undefined) break;
      if (isComment(next)) continue;
      const text = withoutEnd(next);
      if (trimStart(text) === "") hasEmptyContinuation = true;
      else append(text, 1);
    }
    const comments = this.#comments;
    this.#comments = [];
    return { text: joined.whole(), comments, endLine: this.#at, hasEmptyContinuation };
  }

  /** The lines of a here-document, up to the one that ends it. Throws Complaint when none does. */
  heredoc(start: HeredocStart): Heredoc {
    const first = this.#at + 1;
    let content = "";
    for (;;) {
      const raw = this.#take();
      if (raw === undefined) {
        throw new Complaint(
          `unterminated heredoc: no line is "${start.name}" alone up to the end of the file`,
        );
      }
      const line = withoutEnd(raw);
      if ((start.isChomped ? line.replace(/^\t+/, "") : line) === start.name) {
        const end = { line: this.#at, column: line.length + 1 };
        return { ...start, content, range: { start: { line: first, column: 1 }, end } };
      }
      content += raw;
    }
  }

  get lineNumber(): number {
    return this.#at;
  }
}
