/** Where the last n lines of a log begin, found from its end. */
import { readSync } from "node:fs";
import type { OpenLogFile } from "#log/files.ts";
import { PARTIAL, STDERR, headerAt } from "#log/scanner.ts";

export interface LogPosition {
  readonly file: number;
  readonly offset: number;
}

export interface TailOptions {
  readonly lines: number;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

const BLOCK_BYTES = 128 * 1024;
/** A header may lie across the end of a block. */
const OVERLAP_BYTES = 96;
const NEWLINE = 10;

/** Starts of a file's records, last first. */
function* recordStarts(
  file: OpenLogFile,
): Generator<{ start: number; block: Buffer; at: number; end: number }> {
  const block = Buffer.allocUnsafe(BLOCK_BYTES + OVERLAP_BYTES);
  for (let upper = file.size; upper > 0;) {
    const lower = Math.max(0, upper - BLOCK_BYTES);
    const wanted = Math.min(file.size - lower, upper - lower + OVERLAP_BYTES);
    const length = readSync(file.fd, block, 0, wanted, lower);
    // A newline at the very end of the file begins no record.
    let newline = block.lastIndexOf(NEWLINE, Math.min(upper - lower, length) - 1);
    while (newline >= 0) {
      const start = lower + newline + 1;
      if (start < file.size) yield { start, block, at: newline + 1, end: length };
      newline = newline === 0 ? -1 : block.lastIndexOf(NEWLINE, newline - 1);
    }
    if (lower === 0) yield { start: 0, block, at: 0, end: length };
    upper = lower;
  }
}

/**
 * The position from which reading gives the last `lines` lines of the wanted streams. A line is what
 * ends in a newline of its stream; an unfinished one at the end counts too.
 */
export const findTail = (files: readonly OpenLogFile[], options: TailOptions): LogPosition => {
  const last = files.length - 1;
  if (options.lines === 0) return { file: Math.max(0, last), offset: files[last]?.size ?? 0 };
  let found = 0;
  let isFirst = true;
  let following: LogPosition = { file: last, offset: files[last]?.size ?? 0 };
  for (let index = last; index >= 0; index -= 1) {
    const file = files[index];
    if (file === undefined) continue;
    for (const { start, block, at, end } of recordStarts(file)) {
      const flags = headerAt(block, at, end)?.flags ?? 0;
      const isWanted = (flags & STDERR) === 0 ? options.stdout : options.stderr;
      if (isWanted) {
        // A piece belongs to the line that ends behind it, unless it is the end itself.
        if ((flags & PARTIAL) === 0 || isFirst) found += 1;
        isFirst = false;
        if (found > options.lines) return following;
      }
      following = { file: index, offset: start };
    }
  }
  return { file: 0, offset: 0 };
};
