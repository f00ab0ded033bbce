/** Which files ADD unpacks: tars, compressed or not, whatever they are called. */
import { constants } from "node:fs";
import type { FileKernel } from "#kernel/kernel.ts";
import { MAGIC_BYTES, detectCompression } from "#snapshot/compression.ts";
import { decompress } from "#snapshot/decompress.ts";
import { gunzipFile } from "#snapshot/gunzip.ts";

const BLOCK_BYTES = 512;
const SUM_START = 148;
const SUM_END = 156;

/** A header block's own sum (POSIX.1, pax): true for no text, picture or program that is no tar. */
const isTarHeader = (block: Uint8Array): boolean => {
  if (block.length < BLOCK_BYTES || block[0] === 0) return false;
  const field = Buffer.from(block.subarray(SUM_START, SUM_END)).toString("latin1");
  const digits = /^[ 0]*([0-7]+)[ \0]*$/.exec(field)?.[1];
  if (digits === undefined) return false;
  let sum = 0;
  for (const [index, byte] of block.entries()) {
    sum += index >= SUM_START && index < SUM_END ? 0x20 : byte;
  }
  return sum === Number.parseInt(digits, 8);
};

/** The bytes of an archive without its compression. To be left when the archive itself has ended: what is behind is no error then. */
export async function* archiveBytes(path: string): AsyncGenerator<Uint8Array, void> {
  const head = await Bun.file(path).slice(0, MAGIC_BYTES).bytes();
  yield* detectCompression(head) === "gzip"
    ? gunzipFile(path)
    : decompress(Bun.file(path).stream());
}

/** Reads no more than the beginning. */
export const isArchiveFile = async (
  kernel: FileKernel,
  root: string,
  path: string,
): Promise<boolean> => {
  const fd = kernel.openInRoot(root, path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    let head = Buffer.alloc(0);
    for await (const chunk of archiveBytes(kernel.fdPath(fd))) {
      head = Buffer.concat([head, chunk.subarray(0, BLOCK_BYTES)]);
      if (head.length >= BLOCK_BYTES) break;
    }
    return isTarHeader(head.subarray(0, BLOCK_BYTES));
  } catch {
    return false; // Damaged or of another kind: copied as it is.
  } finally {
    kernel.close(fd);
  }
};
