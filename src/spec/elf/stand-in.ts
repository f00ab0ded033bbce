/**
 * A shared library in the place of another: it has the functions that are asked of it, needs no further
 * libraries, and each function does nothing but return -ENOSYS. elf(5); the LSB's "Symbol Versioning"; ld.so(8).
 */
import type { ImportedSymbol } from "#spec/elf/imports.ts";

const PAGE_BYTES = 4096;
const [EHDR_BYTES, PHDR_BYTES, SYMBOL_BYTES] = [64, 56, 24];
const [PT_LOAD, PT_DYNAMIC, PT_GNU_STACK] = [1, 2, 0x6474e551];
const [READ, WRITE, EXECUTE] = [4, 2, 1];
const [STB_GLOBAL_FUNC, SHARED_OBJECT, X86_64] = [0x12, 3, 62];
/** The sections' indexes are of no interest to the loader, only that a symbol has one. */
const SOME_SECTION = 1;
const DT = {
  hash: 4n,
  strings: 5n,
  symbols: 6n,
  stringsBytes: 10n,
  symbolBytes: 11n,
  soname: 14n,
  versionIndexes: 0x6ffffff0n,
  versions: 0x6ffffffcn,
  versionsCount: 0x6ffffffdn,
} as const;
const VERSION_OF_FILE = 1;
const [VERDEF_BYTES, VERDAUX_BYTES] = [20, 8];

/** `mov $-38, %eax; ret`: ENOSYS, as a function of libsystemd's says that it cannot. */
const FAILING_FUNCTION = Uint8Array.of(0xb8, 0xda, 0xff, 0xff, 0xff, 0xc3);

/** The System V ABI's hash of a name. */
const hashOf = (name: string): number => {
  let hash = 0;
  for (const byte of new TextEncoder().encode(name)) {
    hash = ((hash << 4) + byte) >>> 0;
    const high = hash & 0xf0000000;
    hash = (hash ^ (high >>> 24)) & ~high;
  }
  return hash >>> 0;
};

/** Little-endian numbers one after the other. */
const numbers = (sizeBytes: 2 | 4, values: readonly number[]): Uint8Array => {
  const view = new DataView(new ArrayBuffer(values.length * sizeBytes));
  for (const [index, value] of values.entries()) {
    if (sizeBytes === 2) view.setUint16(index * 2, value, true);
    else view.setUint32(index * 4, value, true);
  }
  return new Uint8Array(view.buffer);
};

const longs = (values: readonly (bigint | number)[]): Uint8Array =>
  new Uint8Array(BigUint64Array.from(values, BigInt).buffer);

const join = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

class Strings {
  #text = "\0";

  /** Where it begins in the table. */
  add(text: string): number {
    const at = this.#text.length;
    this.#text += `${text}\0`;
    return at;
  }

  get bytes(): Uint8Array {
    return new TextEncoder().encode(this.#text);
  }
}

/** Many buckets: the loader looks here for the names of all other libraries too, most of them in vain. */
const BUCKETS_PER_SYMBOL = 4;

const hashTable = (names: readonly string[]): Uint8Array => {
  const buckets = Array.from({ length: names.length * BUCKETS_PER_SYMBOL + 1 }, () => 0);
  const chain = Array.from({ length: names.length + 1 }, () => 0);
  for (const [index, name] of names.entries()) {
    const bucket = hashOf(name) % buckets.length;
    chain[index + 1] = buckets[bucket] ?? 0;
    buckets[bucket] = index + 1;
  }
  return numbers(4, [buckets.length, chain.length, ...buckets, ...chain]);
};

/** Elf64_Verdef and its one Elf64_Verdaux for each; the first is that of the file. */
const versionTable = (names: readonly string[], strings: Strings): Uint8Array =>
  join(
    ...names.map((name, index) => {
      const isLast = index === names.length - 1;
      return join(
        numbers(2, [1, index === 0 ? VERSION_OF_FILE : 0, index + 1, 1]),
        numbers(4, [hashOf(name), VERDEF_BYTES, isLast ? 0 : VERDEF_BYTES + VERDAUX_BYTES]),
        numbers(4, [strings.add(name), 0]),
      );
    }),
  );

const aligned = (at: number, to: number): number => Math.ceil(at / to) * to;

const segment = (type: number, flags: number, at: number, sizeBytes: number): Uint8Array =>
  join(
    numbers(4, [type, flags]),
    longs([at, at, at, sizeBytes, sizeBytes, type === PT_LOAD ? PAGE_BYTES : 8]),
  );

const header = (segments: number): Uint8Array =>
  join(
    Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    numbers(2, [SHARED_OBJECT, X86_64]),
    numbers(4, [1]),
    longs([0, EHDR_BYTES, 0]),
    numbers(4, [0]),
    numbers(2, [EHDR_BYTES, PHDR_BYTES, segments, 64, 0, 0]),
  );

const SEGMENTS = 4;
const START = EHDR_BYTES + SEGMENTS * PHDR_BYTES;

/** The tables one after the other, each where its numbers may lie. */
const layOut = (tables: readonly Uint8Array[]): { at: readonly number[]; end: number } => {
  let end = START;
  const at = tables.map((table) => {
    const start = aligned(end, 8);
    end = start + table.length;
    return start;
  });
  return { at, end };
};

/** The library's bytes, for the file `soname`. The same symbol twice is there once. */
export const standInLibrary = (soname: string, symbols: readonly ImportedSymbol[]): Uint8Array => {
  const unique = [
    ...new Map(symbols.map((each) => [`${each.name}@${each.version}`, each])).values(),
  ];
  const versions = [soname, ...new Set(unique.map(({ version }) => version))];
  const strings = new Strings();
  const names = unique.map(({ name }) => strings.add(name));
  const versionBytes = versionTable(versions, strings);
  const sonameAt = strings.add(soname);
  const indexes = numbers(2, [0, ...unique.map(({ version }) => versions.indexOf(version, 1) + 1)]);
  const symbolsBytes = new Uint8Array((unique.length + 1) * SYMBOL_BYTES);
  const tables = [
    hashTable(unique.map(({ name }) => name)),
    symbolsBytes,
    strings.bytes,
    indexes,
    versionBytes,
    FAILING_FUNCTION,
  ];
  const { at, end } = layOut(tables);
  const [hashAt = 0, symbolsAt = 0, stringsAt = 0, indexesAt = 0, versionsAt = 0, codeAt = 0] = at;
  for (const [index, name] of names.entries()) {
    const symbol = join(
      numbers(4, [name]),
      Uint8Array.of(STB_GLOBAL_FUNC, 0),
      numbers(2, [SOME_SECTION]),
      longs([codeAt, FAILING_FUNCTION.length]),
    );
    symbolsBytes.set(symbol, (index + 1) * SYMBOL_BYTES);
  }
  const dynamic = longs(
    [
      [DT.soname, sonameAt],
      [DT.hash, hashAt],
      [DT.strings, stringsAt],
      [DT.symbols, symbolsAt],
      [DT.stringsBytes, strings.bytes.length],
      [DT.symbolBytes, SYMBOL_BYTES],
      [DT.versionIndexes, indexesAt],
      [DT.versions, versionsAt],
      [DT.versionsCount, versions.length],
      [0n, 0],
    ].flat(),
  );
  // The loader writes addresses into it: a page of its own, which may be written.
  const dynamicAt = aligned(end, PAGE_BYTES);
  const file = new Uint8Array(dynamicAt + dynamic.length);
  file.set(
    join(
      header(SEGMENTS),
      segment(PT_LOAD, READ | EXECUTE, 0, end),
      segment(PT_LOAD, READ | WRITE, dynamicAt, dynamic.length),
      segment(PT_DYNAMIC, READ | WRITE, dynamicAt, dynamic.length),
      segment(PT_GNU_STACK, READ | WRITE, 0, 0),
    ),
  );
  for (const [index, table] of tables.entries()) file.set(table, at[index]);
  file.set(dynamic, dynamicAt);
  return file;
};
