/**
 * A writer faster than the looks at its log leaves a file larger than the policy allows. When it has
 * ended, the newest part is cut into files of the right size, at line borders, and the rest goes. Not
 * before: followers know files by their inodes and would read the pieces again.
 */
import {
  closeSync,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { rotatedFiles } from "#log/files.ts";
import type { RotationPolicy } from "#log/rotate.ts";

const BLOCK_BYTES = 256 * 1024;
const NEWLINE = 0x0a;

/** First position at or after `from` where a line begins. */
const lineStart = (fd: number, from: number, sizeBytes: number): number => {
  if (from === 0) return 0;
  const block = Buffer.allocUnsafe(BLOCK_BYTES);
  for (let at = from - 1; at < sizeBytes; at += BLOCK_BYTES) {
    const length = readSync(fd, block, 0, BLOCK_BYTES, at);
    const newline = block.subarray(0, length).indexOf(NEWLINE);
    if (newline >= 0) return at + newline + 1;
  }
  return sizeBytes;
};

const copyRange = (fd: number, start: number, end: number, target: string): void => {
  const out = openSync(target, "w", 0o600);
  try {
    const block = Buffer.allocUnsafe(BLOCK_BYTES);
    for (let at = start; at < end;) {
      const length = readSync(fd, block, 0, Math.min(BLOCK_BYTES, end - at), at);
      if (length === 0) return;
      at += writeSync(out, block, 0, length);
    }
  } finally {
    closeSync(out);
  }
};

/** Where the piece begins that ends at `end`: a line longer than a piece makes a longer piece. */
const pieceStart = (fd: number, end: number, maxBytes: number): number => {
  for (let length = maxBytes; ; length *= 2) {
    const start = lineStart(fd, Math.max(0, end - length), end);
    if (start < end) return start;
  }
};

/** Ranges of the newest `count` pieces of at most `maxBytes`, newest first. */
const pieces = (fd: number, count: number, maxBytes: number): { start: number; end: number }[] => {
  const ranges: { start: number; end: number }[] = [];
  const sizeBytes = fstatSync(fd).size;
  for (let end = sizeBytes; end > 0 && ranges.length < count;) {
    const start = pieceStart(fd, end, maxBytes);
    ranges.push({ start, end });
    end = start;
  }
  return ranges;
};

/** Makes room for `count` more files behind number `first`; what has no place then is beyond the policy, and goes. */
const moveUp = (path: string, first: number, count: number, policy: RotationPolicy): void => {
  for (const { path: file, number, isCompressed } of rotatedFiles(path).toReversed()) {
    if (number <= first) continue;
    const target = `${path}.${number + count}${isCompressed ? ".gz" : ""}`;
    if (number + count >= policy.maxFiles) rmSync(file, { force: true });
    else renameSync(file, target);
  }
};

/**
 * The writer has ended: an oversized log is brought within the policy, its newest part at `path`. A kill on the way
 * leaves lines twice, not missing.
 */
export const trimEnded = (path: string, policy: RotationPolicy): void => {
  const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  const largest = sizeOf(path) > policy.maxBytes ? path : `${path}.1`;
  if (!Number.isFinite(policy.maxBytes) || sizeOf(largest) <= policy.maxBytes) return;
  // What is newer than the oversized file stays as it is.
  const first = largest === path ? 0 : 1;
  const fd = openSync(largest, "r");
  try {
    const ranges = pieces(fd, Math.max(1, policy.maxFiles - first), policy.maxBytes);
    moveUp(path, first, ranges.length - 1, policy);
    const targets = ranges.map(({ start, end }, index) => {
      const number = index + first;
      const target = number === 0 ? path : `${path}.${number}`;
      copyRange(fd, start, end, `${target}.split`);
      return target;
    });
    // The oversized file's own name is the last to get another content.
    for (const target of targets.toReversed()) renameSync(`${target}.split`, target);
  } finally {
    closeSync(fd);
  }
};
