/** A sparse file's runs of data as EROFS chunks. */
import type { DataRegion } from "#lib/tar/entry.ts";
import { BLOCK_BITS, BLOCK_BYTES } from "#spec/erofs/layout.ts";

/** Eight bytes of index each: a file of holes must not become large by being described. */
const CHUNKS_MAX = 1 << 20;
const CHUNK_BITS_MAX = 31;

export interface Chunks {
  readonly chunkBits: number;
  readonly blocks: readonly number[];
}

interface Run extends DataRegion {
  /** Where its bytes stand in the archive. */
  readonly dataOffset: number;
}

/** How many of its low bits are zero, in units of blocks. -1: it is not even at a block. */
const alignment = (bytes: number): number => {
  if (bytes % BLOCK_BYTES !== 0) return -1;
  let blocks = bytes / BLOCK_BYTES;
  if (blocks === 0) return CHUNK_BITS_MAX;
  let bits = 0;
  while (blocks % 2 === 0 && bits < CHUNK_BITS_MAX) {
    blocks /= 2;
    bits += 1;
  }
  return bits;
};

/**
 * The file's content stands packed from `dataOffset` on. undefined: its runs do not begin and end at blocks,
 * or they are too many, so no index can describe it.
 */
export const chunksOf = (
  sizeBytes: number,
  regions: readonly DataRegion[],
  dataOffset: number,
): Chunks | undefined => {
  const runs: Run[] = [];
  let at = dataOffset;
  for (const region of regions) {
    if (region.length > 0) runs.push({ ...region, dataOffset: at });
    at += region.length;
  }
  let chunkBits = CHUNK_BITS_MAX;
  for (const { offset, length, dataOffset: start } of runs) {
    // The last run may end with the file, in the middle of a block.
    const isLast = offset + length === sizeBytes;
    const bits = Math.min(alignment(offset), isLast ? CHUNK_BITS_MAX : alignment(length));
    if (bits < 0 || start % BLOCK_BYTES !== 0) return undefined;
    chunkBits = Math.min(chunkBits, bits);
  }
  const enough = Math.max(0, Math.ceil(Math.log2(sizeBytes)) - BLOCK_BITS);
  chunkBits = Math.min(chunkBits, enough);
  const chunkBytes = BLOCK_BYTES * 2 ** chunkBits;
  const count = Math.ceil(sizeBytes / chunkBytes);
  if (count > CHUNKS_MAX) return undefined;
  const blocks = Array.from<number>({ length: count }).fill(-1);
  for (const { offset, length, dataOffset: start } of runs) {
    const first = offset / chunkBytes;
    const chunks = Math.ceil(length / chunkBytes);
    for (let index = 0; index < chunks; index++) {
      blocks[first + index] = (start + index * chunkBytes) / BLOCK_BYTES;
    }
  }
  return { chunkBits, blocks };
};
