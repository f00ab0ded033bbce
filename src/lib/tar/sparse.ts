/** Maps of sparse files: old GNU headers and the three pax forms (GNU tar manual, "Storing Sparse Files"). */
import { BLOCK_BYTES, type DataRegion, MAX_META_BYTES, badTar } from "#lib/tar/entry.ts";
import { decodeName } from "#lib/tar/name-bytes.ts";
import { parseDecimal, parseNumber } from "#lib/tar/numeric.ts";

const MAX_REGIONS = 65_536;
const NEWLINE = 0x0a;

/** Checks that the runs ascend, end inside `size` and hold exactly `packed` bytes. */
export const checkRegions = (
  pairs: readonly number[],
  size: number,
  packed: number,
  name: string,
): DataRegion[] => {
  const regions: DataRegion[] = [];
  let end = 0;
  let total = 0;
  if (pairs.length % 2 !== 0 || pairs.length / 2 > MAX_REGIONS) {
    throw badTar(name, "has a damaged sparse map");
  }
  for (let at = 0; at < pairs.length; at += 2) {
    const [offset = 0, length = 0] = [pairs[at], pairs[at + 1]];
    if (offset < end || offset + length > size) {
      throw badTar(name, "has a sparse map that overlaps itself or leaves the file");
    }
    end = offset + length;
    total += length;
    if (length > 0) regions.push({ offset, length });
  }
  if (total !== packed) throw badTar(name, "has a sparse map that does not match its data");
  return regions;
};

/** Adds up to `count` runs from 24-byte structs at `offset`; an empty struct ends the list. */
export const readOldGnuPairs = (
  block: Uint8Array,
  offset: number,
  count: number,
  pairs: number[],
  name: string,
): void => {
  for (let index = 0; index < count; index++) {
    const at = offset + index * 24;
    if (block[at] === 0) return;
    const start = parseNumber(block, at, 12);
    const length = parseNumber(block, at + 12, 12);
    if (start === undefined || length === undefined || start < 0 || length < 0) {
      throw badTar(name, "has a damaged sparse map");
    }
    pairs.push(start, length);
  }
};

/** "offset,length,offset,length": format 0.1. */
export const parseMapText = (value: Uint8Array, name: string): number[] => {
  const text = decodeName(value);
  if (text === "") return [];
  return text.split(",").map((part) => {
    const number = parseDecimal(part);
    if (number === undefined) throw badTar(name, "has a damaged sparse map");
    return number;
  });
};

/**
 * Format 1.0: the map stands before the data as decimal lines (how many runs, then offset and length
 * of each), filled up to a block. Collects blocks until all lines are there.
 */
export class LeadingMap {
  readonly #blocks: Uint8Array[] = [];
  readonly #name: string;
  #lines = 0;
  #wanted: number | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  /** Bytes taken from the data so far. */
  get sizeBytes(): number {
    return this.#blocks.length * BLOCK_BYTES;
  }

  /** The pairs when this block completes the map. The block is copied. */
  add(block: Uint8Array): number[] | undefined {
    this.#blocks.push(new Uint8Array(block));
    for (const byte of block) if (byte === NEWLINE) this.#lines += 1;
    if (this.#wanted === undefined) {
      const first = decodeName(block).split("\n", 1)[0] ?? "";
      const count = parseDecimal(first);
      if (count === undefined || count > MAX_REGIONS) throw this.#damaged();
      this.#wanted = count * 2 + 1;
    }
    if (this.#lines < this.#wanted) {
      if (this.sizeBytes > MAX_META_BYTES * 2) throw this.#damaged();
      return undefined;
    }
    const lines = decodeName(Buffer.concat(this.#blocks)).split("\n");
    return lines.slice(1, this.#wanted).map((line) => {
      const number = parseDecimal(line);
      if (number === undefined) throw this.#damaged();
      return number;
    });
  }

  #damaged(): Error {
    return badTar(this.#name, "has a damaged sparse map");
  }
}
