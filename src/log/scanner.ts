/**
 * From blocks of a log file to records, found by their positions alone. Nothing is copied but the
 * unfinished end of a block, and no string is made.
 */
import { FIXED_LENGTH } from "#log/timestamp.ts";

export const STDERR = 1;
/** No newline at its end. */
export const PARTIAL = 2;
/** Goes on with a line that began in an earlier record of its stream. */
export const CONTINUATION = 4;
/** Not a log line: shown as it is, without a time of its own. */
export const GARBAGE = 8;

/** Records of one block, one column each. Valid until the consumer asks for the next batch. */
export interface LogBatch {
  readonly block: Buffer;
  readonly count: number;
  /** Where the header begins. */
  readonly starts: Int32Array;
  /** Where the output begins, and where it ends (its newline included). */
  readonly contents: Int32Array;
  readonly ends: Int32Array;
  readonly flags: Uint8Array;
}

const NEWLINE = 10;
const SPACE = 32;
const LOWER_E = 101;
const LOWER_O = 111;
const LOWER_S = 115;
const UPPER_F = 70;
const UPPER_P = 80;
const DASH = 45;
const UPPER_T = 84;

/** " stdout F " after the time. */
const HEADER_LENGTH = FIXED_LENGTH + 10;
const MAX_HEADER = 80;

/** The times and tags that others than conmon write. */
const ANY_HEADER =
  /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d) (stdout|stderr) ([FP])(?::[^ ]*)? /;

export interface Header {
  /** STDERR and PARTIAL. */
  readonly flags: number;
  readonly length: number;
}

/** Flags of the header at `start` when it has conmon's form, else -1. */
const fixedHeader = (block: Uint8Array, start: number): number => {
  const at = start + FIXED_LENGTH;
  const stream = block[at + 4];
  const tag = block[at + 8];
  const isHeader =
    block[at] === SPACE &&
    block[at + 1] === LOWER_S &&
    (stream === LOWER_O || stream === LOWER_E) &&
    block[at + 7] === SPACE &&
    (tag === UPPER_F || tag === UPPER_P) &&
    block[at + 9] === SPACE &&
    block[start + 4] === DASH &&
    block[start + 10] === UPPER_T;
  if (!isHeader) return -1;
  return (stream === LOWER_E ? STDERR : 0) | (tag === UPPER_P ? PARTIAL : 0);
};

/** The header of the record at `start`, undefined for garbage. */
export const headerAt = (block: Buffer, start: number, end: number): Header | undefined => {
  if (start + HEADER_LENGTH <= end) {
    const flags = fixedHeader(block, start);
    if (flags >= 0) return { flags, length: HEADER_LENGTH };
  }
  const text = block.toString("latin1", start, Math.min(end, start + MAX_HEADER));
  const match = ANY_HEADER.exec(text);
  if (match === null) return undefined;
  const flags = (match[1] === "stderr" ? STDERR : 0) | (match[2] === "P" ? PARTIAL : 0);
  return { flags, length: match[0].length };
};

export class LogScanner {
  #capacity = 4096;
  #starts = new Int32Array(this.#capacity);
  #contents = new Int32Array(this.#capacity);
  #ends = new Int32Array(this.#capacity);
  #flags = new Uint8Array(this.#capacity);
  #count = 0;
  /** CONTINUATION while the last record of stdout, of stderr, was partial. */
  readonly #open = [0, 0];

  /**
   * Records of `block[0..length)`; `rest` is how many bytes at its end belong to a record that is not
   * whole yet. With `isEnd` these are taken as one that will never be.
   */
  scan(block: Buffer, length: number, isEnd: boolean): { batch: LogBatch; rest: number } {
    this.#count = 0;
    let start = 0;
    while (start < length) {
      const newline = block.indexOf(NEWLINE, start);
      if (newline < 0 || newline >= length) break;
      const flags = start + HEADER_LENGTH <= newline ? fixedHeader(block, start) : -1;
      if (flags >= 0) this.#add(start, start + HEADER_LENGTH, newline + 1, flags);
      else this.#addOdd(block, start, newline + 1);
      start = newline + 1;
    }
    if (isEnd && start < length) {
      const header = headerAt(block, start, length);
      // Half a header says nothing; half a line is shown.
      if (header !== undefined) {
        this.#add(start, start + header.length, length + 1, header.flags | PARTIAL);
      } else if (length - start > MAX_HEADER) {
        this.#add(start, start, length + 1, GARBAGE | PARTIAL);
      }
      start = length;
    }
    const batch = {
      block,
      count: this.#count,
      starts: this.#starts,
      contents: this.#contents,
      ends: this.#ends,
      flags: this.#flags,
    };
    return { batch, rest: length - start };
  }

  /** Garbage; perhaps with a good record behind it, when a write was cut off and a later one followed. */
  #addOdd(block: Buffer, from: number, end: number): void {
    let start = from;
    // A file system that lost its last blocks shows zeros.
    while (start < end && block[start] === 0) start += 1;
    for (let at = start; ; at += 1) {
      at = block.indexOf(" std", at);
      if (at < 0 || at >= end) break;
      const header =
        at - FIXED_LENGTH < start ? undefined : headerAt(block, at - FIXED_LENGTH, end);
      if (header === undefined) continue;
      const good = at - FIXED_LENGTH;
      if (good > start) this.#add(start, start, good + 1, GARBAGE | PARTIAL);
      return this.#add(good, good + header.length, end, header.flags);
    }
    const header = headerAt(block, start, end);
    if (header === undefined) this.#add(start, start, end, GARBAGE);
    else this.#add(start, start + header.length, end, header.flags);
  }

  /** `end` is behind the record's newline; of a partial one the newline is not output. */
  #add(start: number, content: number, end: number, flags: number): void {
    if (this.#count === this.#capacity) this.#grow();
    const index = this.#count;
    const stream = flags & STDERR;
    const isPartial = (flags & PARTIAL) !== 0;
    this.#starts[index] = start;
    this.#contents[index] = content;
    this.#ends[index] = isPartial ? end - 1 : end;
    this.#flags[index] = flags | (this.#open[stream] ?? 0);
    this.#open[stream] = isPartial ? CONTINUATION : 0;
    this.#count += 1;
  }

  #grow(): void {
    this.#capacity *= 2;
    const widen = (column: Int32Array): Int32Array<ArrayBuffer> => {
      const wider = new Int32Array(this.#capacity);
      wider.set(column);
      return wider;
    };
    this.#starts = widen(this.#starts);
    this.#contents = widen(this.#contents);
    this.#ends = widen(this.#ends);
    const flags = new Uint8Array(this.#capacity);
    flags.set(this.#flags);
    this.#flags = flags;
  }
}
