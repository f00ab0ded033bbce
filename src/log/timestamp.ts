/**
 * Times at the beginning of log lines, read and written as bytes. Minutes repeat for thousands of
 * lines: the last one is remembered, so that a line costs the reading of its seconds.
 */
import { formatInstant, parseInstant } from "#lib/clock.ts";

/** "2026-11-22T17:31:11.123456789+00:00": the only form that conmon writes. */
export const FIXED_LENGTH = 35;
const SECOND_AT = 17;
const FRACTION_AT = 20;
const OFFSET_AT = 29;
const SPACE = 32;
const DOT = 46;
const UPPER_Z = 90;

/** "2026-11-22T17:31:11.123456789Z " */
export const PRINTED_LENGTH = 31;

const two = (block: Uint8Array, at: number): number =>
  ((block[at] ?? 0) - 48) * 10 + ((block[at + 1] ?? 0) - 48);

export class TimestampReader {
  /** What `read` found: whole seconds since the epoch, and the rest. */
  seconds = 0;
  nanoseconds = 0;

  readonly #minute = new Uint8Array(SECOND_AT);
  readonly #offset = new Uint8Array(FIXED_LENGTH - OFFSET_AT);
  #minuteSeconds = 0;
  readonly #printedMinute = new Uint8Array(SECOND_AT);

  get ns(): bigint {
    return BigInt(this.seconds) * 1_000_000_000n + BigInt(this.nanoseconds);
  }

  /** Reads the time at `start`; one that cannot be read leaves the last one in place. */
  read(block: Buffer, start: number): void {
    if (block[start + FIXED_LENGTH] !== SPACE || block[start + FRACTION_AT - 1] !== DOT) {
      return this.#readAny(block, start);
    }
    if (!this.#isSameMinute(block, start)) this.#learnMinute(block, start);
    this.seconds = this.#minuteSeconds + two(block, start + SECOND_AT);
    let nanoseconds = 0;
    for (let at = start + FRACTION_AT; at < start + OFFSET_AT; at += 1) {
      nanoseconds = nanoseconds * 10 + ((block[at] ?? 0) - 48);
    }
    this.nanoseconds = nanoseconds;
  }

  /** Writes the time at `start` in UTC with nine digits and a space behind. Returns the end. */
  copy(block: Buffer, start: number, target: Buffer, at: number): number {
    if (block[start + FIXED_LENGTH] !== SPACE || block[start + FRACTION_AT - 1] !== DOT) {
      this.read(block, start);
      return this.print(target, at);
    }
    if (!this.#isSameMinute(block, start)) this.#learnMinute(block, start);
    // A zone shifts whole minutes: seconds and fraction stand as they were written.
    const minute = this.#printedMinute;
    for (let byte = 0; byte < SECOND_AT; byte += 1) target[at + byte] = minute[byte] ?? 0;
    for (let byte = SECOND_AT; byte < OFFSET_AT; byte += 1) {
      target[at + byte] = block[start + byte] ?? 0;
    }
    target[at + OFFSET_AT] = UPPER_Z;
    target[at + OFFSET_AT + 1] = SPACE;
    return at + PRINTED_LENGTH;
  }

  /** Writes the time last read; the form is that of `copy`. */
  print(target: Buffer, at: number): number {
    const text = formatInstant(this.ns);
    return at + target.write(`${text} `, at, "latin1");
  }

  #isSameMinute(block: Uint8Array, start: number): boolean {
    // From the back: minutes change before years do.
    for (let at = SECOND_AT - 1; at >= 0; at -= 1) {
      if (this.#minute[at] !== block[start + at]) return false;
    }
    for (let at = 0; at < this.#offset.length; at += 1) {
      if (this.#offset[at] !== block[start + OFFSET_AT + at]) return false;
    }
    return true;
  }

  #learnMinute(block: Buffer, start: number): void {
    const minute = block.toString("latin1", start, start + SECOND_AT);
    const offset = block.toString("latin1", start + OFFSET_AT, start + FIXED_LENGTH);
    let ns: bigint;
    try {
      ns = parseInstant(`${minute}00${offset}`);
    } catch {
      return; // Looks like a time and is none: the last one stands.
    }
    this.#minuteSeconds = Number(ns / 1_000_000_000n);
    this.#printedMinute.set(Buffer.from(formatInstant(ns).slice(0, SECOND_AT)));
    this.#minute.set(block.subarray(start, start + SECOND_AT));
    this.#offset.set(block.subarray(start + OFFSET_AT, start + FIXED_LENGTH));
  }

  #readAny(block: Buffer, start: number): void {
    const end = block.indexOf(SPACE, start);
    try {
      const ns = parseInstant(block.toString("latin1", start, end));
      this.seconds = Number(ns / 1_000_000_000n);
      this.nanoseconds = Number(ns % 1_000_000_000n);
    } catch {
      return; // The header was recognized by its shape only: the last time stands.
    }
  }
}
