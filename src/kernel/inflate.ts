/**
 * libisal's inflate in this process: gzip streams undone where they are read, without a program and two pipes
 * beside (which cost as much again as the inflating, measured). Comes with the package that has igzip; where it
 * cannot be opened, or is not the library that is known here, callers take the program or the runtime.
 *
 * Blocks the thread for as long as the bytes need (2 ms a megabyte): for child processes.
 */
import { type Pointer, dlopen, ptr } from "bun:ffi";
import { NaruError } from "#lib/errors.ts";

/** Undoes one gzip stream, of as many members as it has. What follows the last and is no member is passed over, as gzip(1) does. */
export interface Inflater {
  /** Calls `take` with what the bytes gave; it is valid during the call. Throws invalid_argument for damaged data. */
  push(bytes: Uint8Array, take: (plain: Uint8Array) => void): void;
  /** No more bytes. Throws invalid_argument when the stream is cut short. */
  end(): void;
}

export interface InflateKernel {
  /** undefined: this host has no library for it. */
  createInflater(): Inflater | undefined;
}

/** struct inflate_state of igzip_lib.h, libisal.so.2. */
const STATE = {
  nextOut: 0,
  availableOut: 8,
  nextIn: 16,
  availableIn: 32,
  blockState: 21_160,
  crcFlag: 21_172,
  crc: 21_176,
  sizeBytes: 87_368,
} as const;
/** Room behind the known state, should a later library have a longer one. */
const SPARE_BYTES = 64 * 1024;
const CRC_GZIP = 1;
const BLOCK_NEW_HEADER = 0;
const BLOCK_FINISH = 5;
const OUTPUT_BYTES = 512 * 1024;
/** The first byte of a member (RFC 1952 §2.3.1). */
const ID1 = 0x1f;
const UNTOUCHED = 0xaa;

const openLibrary = () =>
  dlopen("libisal.so.2", {
    isal_inflate_init: { args: ["ptr"], returns: "void" },
    isal_inflate_reset: { args: ["ptr"], returns: "void" },
    isal_inflate: { args: ["ptr"], returns: "i32" },
  }).symbols;

type Library = ReturnType<typeof openLibrary>;

/** Undefined: not tried yet. Null: this host has no such library, or another. */
let library: Library | null | undefined;

/** What init sets, and what it leaves, tells whether the fields are where they are looked for. */
const isKnown = (symbols: Library): boolean => {
  const state = new Uint8Array(STATE.sizeBytes + SPARE_BYTES).fill(UNTOUCHED);
  symbols.isal_inflate_init(ptr(state));
  const isSet = state.subarray(STATE.blockState, STATE.crc + 4).every((byte) => byte === 0);
  return isSet && state[STATE.blockState - 1] === UNTOUCHED;
};

const libraryOrNull = (): Library | null => {
  if (library !== undefined) return library;
  library = null;
  try {
    const symbols = openLibrary();
    if (isKnown(symbols)) library = symbols;
  } catch {
    // The callers' other ways need no library.
  }
  return library;
};

const damaged = (detail: string): NaruError =>
  new NaruError("invalid_argument", `the gzip data is damaged: ${detail}`);

const REASONS: Readonly<Record<number, string>> = {
  [-1]: "a block of it is none",
  [-2]: "a symbol of it is none",
  [-3]: "it looks back beyond its beginning",
  [-4]: "its header is none",
  [-5]: "its header is of a kind that is not known",
  [-6]: "its sum is wrong",
};

/** Bits of a header's fourth byte (RFC 1952 §2.3.1). */
const FLAG = { crc: 2, extra: 4, name: 8, comment: 16 } as const;
/** No header of a tool is longer; one that is goes on as it came. */
const HEADER_LIMIT_BYTES = 128 * 1024;

/** Whether a member's header is here to its end; so is what is none, for the library to refuse. */
const hasWholeHeader = (bytes: Uint8Array): boolean => {
  if (bytes.length > HEADER_LIMIT_BYTES) return true;
  if (bytes.length >= 2 && bytes[1] !== 0x8b) return true;
  if (bytes.length < 10) return false;
  const flags = bytes[3] ?? 0;
  let at = 10;
  if ((flags & FLAG.extra) !== 0) {
    if (bytes.length < at + 2) return false;
    at += 2 + (bytes[at] ?? 0) + ((bytes[at + 1] ?? 0) << 8);
  }
  for (const flag of [FLAG.name, FLAG.comment]) {
    if ((flags & flag) === 0) continue;
    const end = bytes.indexOf(0, at);
    if (end < 0) return false;
    at = end + 1;
  }
  if ((flags & FLAG.crc) !== 0) at += 2;
  return bytes.length >= at;
};

class IsalInflater implements Inflater {
  readonly #symbols: Library;
  readonly #state = new Uint8Array(STATE.sizeBytes + SPARE_BYTES);
  readonly #words = new DataView(this.#state.buffer);
  readonly #address: Pointer;
  readonly #output = new Uint8Array(OUTPUT_BYTES);
  readonly #outputAddress: bigint;
  #isBetween = true;
  #isFirst = true;
  #isPast = false;
  /** The beginning of a header whose end has not come. */
  #held: Uint8Array = new Uint8Array();

  constructor(symbols: Library) {
    this.#symbols = symbols;
    this.#address = ptr(this.#state);
    this.#outputAddress = BigInt(ptr(this.#output));
    symbols.isal_inflate_init(this.#address);
  }

  push(more: Uint8Array, take: (plain: Uint8Array) => void): void {
    if (more.length === 0 || this.#isPast) return;
    const bytes = this.#held.length === 0 ? more : Buffer.concat([this.#held, more]);
    this.#held = new Uint8Array();
    const words = this.#words;
    words.setUint32(STATE.availableIn, bytes.length, true);
    for (;;) {
      const left = words.getUint32(STATE.availableIn, true);
      if (this.#isBetween && left > 0 && this.#holds(bytes.subarray(bytes.length - left))) return;
      if (this.#isBetween && !this.#begin(bytes[bytes.length - left])) return;
      // Not before: looking at a part of a short array moves its bytes.
      words.setBigUint64(STATE.nextIn, BigInt(ptr(bytes)) + BigInt(bytes.length - left), true);
      const length = this.#step();
      if (length > 0) take(this.#output.subarray(0, length));
      this.#isBetween = words.getUint32(STATE.blockState, true) === BLOCK_FINISH;
      // A full buffer may have more behind it though all of the input was taken.
      const isDry = words.getUint32(STATE.availableIn, true) === 0 && length < OUTPUT_BYTES;
      if (isDry) return;
    }
  }

  /** The library forgets a header's flags from one call to the next: it is given in one piece. */
  #holds(rest: Uint8Array): boolean {
    if (rest[0] !== ID1 || hasWholeHeader(rest)) return false;
    this.#held = Uint8Array.from(rest);
    return true;
  }

  /** Whether a member begins with this byte; undefined = there is none yet. */
  #begin(byte: number | undefined): boolean {
    if (byte === undefined) return false;
    if (byte !== ID1) {
      if (this.#isFirst) throw damaged("its header is none");
      this.#isPast = true;
      return false;
    }
    this.#symbols.isal_inflate_reset(this.#address);
    this.#words.setUint32(STATE.crcFlag, CRC_GZIP, true);
    this.#words.setUint32(STATE.blockState, BLOCK_NEW_HEADER, true);
    this.#isFirst = false;
    this.#isBetween = false;
    return true;
  }

  #step(): number {
    const words = this.#words;
    words.setBigUint64(STATE.nextOut, this.#outputAddress, true);
    words.setUint32(STATE.availableOut, OUTPUT_BYTES, true);
    const code = this.#symbols.isal_inflate(this.#address);
    if (code < 0) throw damaged(REASONS[code] ?? `libisal says ${code}`);
    return OUTPUT_BYTES - words.getUint32(STATE.availableOut, true);
  }

  end(): void {
    if (!this.#isBetween || this.#isFirst || this.#held.length > 0)
      throw damaged("it is cut short");
  }
}

export const inflateKernel: InflateKernel = {
  createInflater: () => {
    const symbols = libraryOrNull();
    return symbols === null ? undefined : new IsalInflater(symbols);
  },
};
