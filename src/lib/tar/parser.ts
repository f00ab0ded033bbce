/**
 * The tar reader's heart: bytes are pushed in, entries and content come out by synchronous calls, so
 * that a layer of thousands of small files costs no promise per file.
 *
 * Reads v7, ustar, GNU (long names, base-256 numbers, old sparse files) and pax (global and extended
 * headers, extended attributes, sparse 0.0, 0.1, 1.0). Throws invalid_argument naming the entry for
 * anything damaged, cut short or made to exhaust memory; after that the parser is of no more use.
 */
import {
  BLOCK_BYTES,
  type DataRegion,
  MAX_META_BYTES,
  type TarEntry,
  badTar,
  paddingBytes,
} from "#lib/tar/entry.ts";
import { type RawHeader, isZeroBlock, parseHeader } from "#lib/tar/header.ts";
import { decodeName } from "#lib/tar/name-bytes.ts";
import { parseNumber } from "#lib/tar/numeric.ts";
import { parsePax } from "#lib/tar/pax.ts";
import { resolveEntry, withRegions } from "#lib/tar/resolve.ts";
import { LeadingMap, checkRegions, readOldGnuPairs } from "#lib/tar/sparse.ts";

export interface TarHandler {
  /** `dataOffset` is where the content (of a file that is not sparse) starts in the archive. */
  entry(entry: TarEntry, dataOffset: number): void;
  /** Content of the last entry. `bytes` is only valid during the call; `offset` is within the file. */
  data(bytes: Uint8Array, offset: number): void;
  /** All content of the last entry was handed over. Called for every entry. */
  entryEnd(): void;
}

interface OldGnuMap {
  readonly raw: RawHeader;
  readonly pairs: number[];
  readonly realSize: number;
}

type State = "header" | "meta" | "old GNU map" | "leading map" | "data" | "padding" | "ended";

const NO_RECORDS: ReadonlyMap<string, Uint8Array> = new Map();
/** A global header cannot sensibly say these: they belong to one file. */
const LOCAL_ONLY = ["path", "linkpath", "size"];

export class TarParser {
  readonly #handler: TarHandler;
  readonly #block = Buffer.alloc(BLOCK_BYTES);
  #blockFill = 0;
  #state: State = "header";
  #position = 0;
  #name = "";
  #zeroBlocks = 0;

  #metaFlag = "";
  #meta = Buffer.alloc(0);
  #metaFill = 0;
  #global = new Map<string, Uint8Array>();
  #globalBytes = 0;
  #local: ReadonlyMap<string, Uint8Array> = NO_RECORDS;
  #sparsePairs: readonly number[] = [];
  #longName: string | undefined;
  #longLink: string | undefined;

  #oldGnu: OldGnuMap | undefined;
  #leadingMap: LeadingMap | undefined;
  #pendingEntry: TarEntry | undefined;
  #packedLeft = 0;
  #padding = 0;
  #regions: readonly DataRegion[] | undefined;
  #regionIndex = 0;
  #regionDone = 0;
  #fileOffset = 0;

  constructor(handler: TarHandler) {
    this.#handler = handler;
  }

  /** True after the two closing zero blocks: whatever follows is ignored. */
  get isEnded(): boolean {
    return this.#state === "ended";
  }

  /** The entry being read, for messages. */
  get entryName(): string {
    return this.#name;
  }

  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length && this.#state !== "ended") {
      const before = at;
      switch (this.#state) {
        case "data":
          at = this.#pushData(chunk, at);
          break;
        case "padding":
          at += Math.min(this.#padding, chunk.length - at);
          this.#padding -= at - before;
          if (this.#padding === 0) this.#state = "header";
          break;
        case "meta":
          at = this.#pushMeta(chunk, at);
          break;
        case "header":
        case "old GNU map":
        case "leading map":
          at = this.#pushBlock(chunk, at);
      }
      this.#position += at - before;
    }
  }

  /** The archive has no more bytes. Missing zero blocks are forgiven, half entries are not. */
  end(): void {
    if (this.#state === "ended") return;
    const isBetweenEntries = this.#state === "header" && this.#blockFill === 0;
    const hasPending = this.#local !== NO_RECORDS || this.#longName !== undefined;
    if (!isBetweenEntries || hasPending) {
      throw badTar(this.#name, "is cut short: the archive ends too early");
    }
    this.#state = "ended";
  }

  #pushBlock(chunk: Uint8Array, at: number): number {
    if (this.#blockFill === 0 && chunk.length - at >= BLOCK_BYTES) {
      const end = at + BLOCK_BYTES;
      this.#takeBlock(chunk.subarray(at, end), end - at);
      return end;
    }
    const count = Math.min(BLOCK_BYTES - this.#blockFill, chunk.length - at);
    this.#block.set(chunk.subarray(at, at + count), this.#blockFill);
    this.#blockFill += count;
    if (this.#blockFill === BLOCK_BYTES) {
      this.#blockFill = 0;
      this.#takeBlock(this.#block, count);
    }
    return at + count;
  }

  /** `fresh`: how many of the block's bytes are not yet counted in the position. */
  #takeBlock(block: Uint8Array, fresh: number): void {
    const dataOffset = this.#position + fresh;
    if (this.#state === "old GNU map") {
      this.#takeOldGnuBlock(block, dataOffset);
    } else if (this.#state === "leading map") {
      this.#takeMapBlock(block, dataOffset);
    } else {
      this.#takeHeader(block, dataOffset);
    }
  }

  #takeHeader(block: Uint8Array, dataOffset: number): void {
    if (isZeroBlock(block)) {
      this.#zeroBlocks += 1;
      if (this.#zeroBlocks === 2) {
        this.#zeroBlocks = 0;
        this.end();
      }
      return;
    }
    if (this.#zeroBlocks > 0) throw badTar(this.#name, "is followed by a lone block of zeros");
    const raw = parseHeader(block, this.#name);
    if ("xgLK".includes(raw.typeFlag)) {
      this.#beginMeta(raw);
    } else if (raw.typeFlag === "V") {
      // A GNU volume label: a name for the archive, no file.
      this.#forgetExtensions();
    } else if (raw.typeFlag === "S") {
      this.#beginOldGnu(raw, block, dataOffset);
    } else {
      this.#begin(raw, undefined, dataOffset);
    }
  }

  #beginMeta(raw: RawHeader): void {
    if (raw.size > MAX_META_BYTES) {
      throw badTar(
        raw.name,
        `is an extended header of ${raw.size} bytes, more than ${MAX_META_BYTES}`,
      );
    }
    this.#metaFlag = raw.typeFlag;
    this.#meta = Buffer.allocUnsafe(raw.size);
    this.#metaFill = 0;
    this.#padding = paddingBytes(raw.size);
    this.#name = raw.name;
    if (raw.size === 0) this.#finishMeta();
    else this.#state = "meta";
  }

  #pushMeta(chunk: Uint8Array, at: number): number {
    const count = Math.min(this.#meta.length - this.#metaFill, chunk.length - at);
    this.#meta.set(chunk.subarray(at, at + count), this.#metaFill);
    this.#metaFill += count;
    if (this.#metaFill === this.#meta.length) this.#finishMeta();
    return at + count;
  }

  #finishMeta(): void {
    const body = this.#meta;
    this.#state = this.#padding > 0 ? "padding" : "header";
    if (this.#metaFlag === "L" || this.#metaFlag === "K") {
      const zero = body.indexOf(0);
      const text = decodeName(zero === -1 ? body : body.subarray(0, zero));
      if (this.#metaFlag === "L") this.#longName = text;
      else this.#longLink = text;
      return;
    }
    const { values, sparsePairs } = parsePax(body, this.#name);
    if (this.#metaFlag === "x") {
      this.#local = values;
      this.#sparsePairs = sparsePairs;
      return;
    }
    for (const [key, value] of values) {
      if (LOCAL_ONLY.includes(key) || key.startsWith("GNU.sparse.")) {
        throw badTar(this.#name, `is a global header that sets "${key}" for every file`);
      }
      this.#global.set(key, value);
    }
    this.#globalBytes += body.length;
    if (this.#globalBytes > MAX_META_BYTES) {
      throw badTar(this.#name, `brings the global headers over ${MAX_META_BYTES} bytes`);
    }
  }

  #beginOldGnu(raw: RawHeader, block: Uint8Array, dataOffset: number): void {
    const realSize = parseNumber(block, 483, 12);
    if (realSize === undefined || realSize < 0) throw badTar(raw.name, "has an unreadable size");
    const pairs: number[] = [];
    readOldGnuPairs(block, 386, 4, pairs, raw.name);
    this.#oldGnu = { raw, pairs, realSize };
    this.#name = raw.name;
    if (block[482] === 0) this.#begin(raw, this.#oldGnu, dataOffset);
    else this.#state = "old GNU map";
  }

  #takeOldGnuBlock(block: Uint8Array, dataOffset: number): void {
    const map = this.#oldGnu;
    if (map === undefined) return;
    readOldGnuPairs(block, 0, 21, map.pairs, map.raw.name);
    if (map.pairs.length * 8 > MAX_META_BYTES) throw badTar(map.raw.name, "has a huge sparse map");
    if (block[504] === 0) this.#begin(map.raw, map, dataOffset);
  }

  #begin(raw: RawHeader, oldGnu: OldGnuMap | undefined, dataOffset: number): void {
    const packing = resolveEntry(
      raw,
      {
        global: this.#global,
        local: this.#local,
        sparsePairs: this.#sparsePairs,
        longName: this.#longName,
        longLink: this.#longLink,
      },
      oldGnu,
    );
    this.#forgetExtensions();
    const { entry, packedBytes } = packing;
    this.#name = entry.name;
    this.#padding = paddingBytes(packedBytes);
    this.#packedLeft = packedBytes;
    if (packing.hasLeadingMap) {
      this.#pendingEntry = entry;
      this.#leadingMap = new LeadingMap(entry.name);
      this.#state = "leading map";
      return;
    }
    const pairs = packing.sparsePairs;
    const regions =
      pairs === undefined ? undefined : checkRegions(pairs, entry.size, packedBytes, entry.name);
    this.#beginData(entry, regions, dataOffset);
  }

  #takeMapBlock(block: Uint8Array, dataOffset: number): void {
    const [map, entry] = [this.#leadingMap, this.#pendingEntry];
    if (map === undefined || entry === undefined) return;
    const pairs = map.add(block);
    this.#packedLeft -= BLOCK_BYTES;
    if (this.#packedLeft < 0) throw badTar(entry.name, "has a sparse map longer than its data");
    if (pairs === undefined) return;
    const regions = checkRegions(pairs, entry.size, this.#packedLeft, entry.name);
    this.#beginData(entry, regions, dataOffset);
  }

  #beginData(
    entry: TarEntry,
    regions: readonly DataRegion[] | undefined,
    dataOffset: number,
  ): void {
    this.#regions = regions;
    this.#regionIndex = 0;
    this.#regionDone = 0;
    this.#fileOffset = 0;
    this.#handler.entry(regions === undefined ? entry : withRegions(entry, regions), dataOffset);
    if (this.#packedLeft > 0) this.#state = "data";
    else this.#finishData();
  }

  #pushData(chunk: Uint8Array, at: number): number {
    let count = Math.min(this.#packedLeft, chunk.length - at);
    if (this.#regions === undefined) {
      this.#handler.data(chunk.subarray(at, at + count), this.#fileOffset);
      this.#fileOffset += count;
    } else {
      const region = this.#regions[this.#regionIndex] ?? { offset: 0, length: count };
      count = Math.min(count, region.length - this.#regionDone);
      this.#handler.data(chunk.subarray(at, at + count), region.offset + this.#regionDone);
      this.#regionDone += count;
      if (this.#regionDone === region.length) {
        this.#regionIndex += 1;
        this.#regionDone = 0;
      }
    }
    this.#packedLeft -= count;
    if (this.#packedLeft === 0) this.#finishData();
    return at + count;
  }

  #finishData(): void {
    this.#state = this.#padding > 0 ? "padding" : "header";
    this.#handler.entryEnd();
  }

  #forgetExtensions(): void {
    this.#local = NO_RECORDS;
    this.#sparsePairs = [];
    this.#longName = undefined;
    this.#longLink = undefined;
    this.#oldGnu = undefined;
    this.#leadingMap = undefined;
    this.#pendingEntry = undefined;
  }
}
