/**
 * A writer faster than the looks at its log leaves a file larger than the policy allows. When it has
 * ended, the newest part is cut into files of the right size, at line borders, and the rest goes. Not
 * before: followers know files by their inodes and would read the pieces again.
 */
import { fstatSync, readSync, renameSync, rmSync, statSync } from "node:fs";
import { type FileHandle, open, rename } from "node:fs/promises";
import { rotatedFiles } from "#log/files.ts";
import type { RotationPolicy } from "#log/rotate.ts";

const BLOCK_BYTES = 256 * 1024;
const NEWLINE = 0x0a;

interface Range {
  readonly start: number;
  readonly end: number;
}

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

/** It may be gigabytes: others have their turn in between. */
const copyRange = async (
  source: FileHandle,
  { start, end }: Range,
  target: string,
): Promise<void> => {
  await using out = await open(target, "w", 0o600);
  const block = Buffer.allocUnsafe(BLOCK_BYTES);
  for (let at = start; at < end;) {
    // oxlint-disable-next-line no-await-in-loop -- block after block
    const { bytesRead } = await source.read(block, 0, Math.min(BLOCK_BYTES, end - at), at);
    if (bytesRead === 0) return;
    // oxlint-disable-next-line no-await-in-loop -- see above
    at += (await out.write(block, 0, bytesRead)).bytesWritten;
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
const pieces = (fd: number, count: number, maxBytes: number): Range[] => {
  const ranges: Range[] = [];
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
export const trimEnded = async (path: string, policy: RotationPolicy): Promise<void> => {
  const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  const largest = sizeOf(path) > policy.maxBytes ? path : `${path}.1`;
  if (!Number.isFinite(policy.maxBytes) || sizeOf(largest) <= policy.maxBytes) return;
  // What is newer than the oversized file stays as it is.
  const first = largest === path ? 0 : 1;
  await using source = await open(largest, "r");
  const ranges = pieces(source.fd, Math.max(1, policy.maxFiles - first), policy.maxBytes);
  const targets = ranges.map((_, index) => {
    const number = index + first;
    return number === 0 ? path : `${path}.${number}`;
  });
  for (const [index, range] of ranges.entries()) {
    // oxlint-disable-next-line no-await-in-loop -- one disk
    await copyRange(source, range, `${targets[index]}.split`);
  }
  moveUp(path, first, ranges.length - 1, policy);
  // The oversized file's own name is the last to get another content. ext4 then writes all of that out first.
  for (const target of targets.toReversed()) {
    // oxlint-disable-next-line no-await-in-loop -- in this order
    await rename(`${target}.split`, target);
  }
};
