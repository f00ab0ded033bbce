/** Text that remembers where it stands in the Dockerfile, through joins and cuts. */
import type { Position, SourceRange, Word } from "#spec/dockerfile/dockerfile.ts";

/** Go's unicode.IsSpace. */
const SPACE = "\\t\\n\\v\\f\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const IS_SPACE = new RegExp(`[${SPACE}]`);
const LEADING_SPACE = new RegExp(`^[${SPACE}]+`);

/** Most characters of most files. */
const isGraphic = (code: number): boolean => code > 0x20 && code < 0x80;

export const isSpace = (char: string): boolean =>
  !isGraphic(char.charCodeAt(0)) && IS_SPACE.test(char);

export const trimStart = (text: string): string => text.replace(LEADING_SPACE, "");

interface Piece {
  /** Where the piece begins in the joined text. */
  readonly offset: number;
  readonly line: number;
  readonly column: number;
}

/** Pieces of several lines joined to one text. */
export class JoinedText {
  #text = "";
  readonly #pieces: Piece[] = [];

  append(text: string, line: number, column: number): void {
    this.#pieces.push({ offset: this.#text.length, line, column });
    this.#text += text;
  }

  get text(): string {
    return this.#text;
  }

  positionAt(offset: number): Position {
    let low = 0;
    let high = this.#pieces.length;
    // The last piece that begins at or before the offset.
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((this.#pieces[middle]?.offset ?? 0) <= offset) low = middle;
      else high = middle;
    }
    const piece = this.#pieces[low];
    if (piece === undefined) return { line: 1, column: 1 };
    return { line: piece.line, column: piece.column + offset - piece.offset };
  }

  whole(): Slice {
    return new Slice(this, 0, this.#text.length);
  }
}

/** Offsets `start` to `end` of a joined text. */
export class Slice {
  readonly #of: JoinedText;
  readonly start: number;
  readonly end: number;

  constructor(of: JoinedText, start: number, end: number) {
    this.#of = of;
    this.start = start;
    this.end = Math.max(start, end);
  }

  get text(): string {
    return this.#of.text.slice(this.start, this.end);
  }

  get range(): SourceRange {
    const start = this.#of.positionAt(this.start);
    if (this.end === this.start) return { start, end: start };
    // The last character's own line: the next one may begin a further piece.
    const last = this.#of.positionAt(this.end - 1);
    return { start, end: { line: last.line, column: last.column + 1 } };
  }

  /** Offsets relative to this slice. */
  sub(start: number, end: number = this.end - this.start): Slice {
    return new Slice(this.#of, this.start + start, this.start + end);
  }

  trim(): Slice {
    const text = this.text;
    let from = 0;
    let to = text.length;
    while (from < to && isSpace(text.charAt(from))) from += 1;
    while (to > from && isSpace(text.charAt(to - 1))) to -= 1;
    return this.sub(from, to);
  }

  word(): Word {
    return { text: this.text, range: this.range };
  }
}
