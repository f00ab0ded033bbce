/** Compression formats of layers, told by their first bytes, and the programs that undo them. */
import { NaruError } from "#lib/errors.ts";

export type Compression = "none" | "gzip" | "zstd" | "xz" | "bzip2";

const MAGIC: readonly (readonly [Compression, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ["bzip2", [0x42, 0x5a, 0x68]],
];

/** zstd allows frames to be skipped, 0x184D2A50 … 5F, in front of the data. */
const isSkippableZstd = (head: Uint8Array): boolean =>
  ((head[0] ?? 0) & 0xf0) === 0x50 && head[1] === 0x2a && head[2] === 0x4d && head[3] === 0x18;

export const MAGIC_BYTES = 6;

export const detectCompression = (head: Uint8Array): Compression => {
  for (const [compression, magic] of MAGIC) {
    if (magic.every((byte, at) => head[at] === byte)) return compression;
  }
  return isSkippableZstd(head) ? "zstd" : "none";
};

/** Fastest first. The first one that is installed is taken. */
const PROGRAMS: Readonly<Record<Exclude<Compression, "none">, readonly (readonly string[])[]>> = {
  gzip: [["igzip", "-dc"]],
  zstd: [["zstd", "-dc", "--long=31", "-q"]],
  xz: [["xz", "-dc"]],
  bzip2: [["bzip2", "-dc"]],
};

/** The command that decompresses stdin to stdout, undefined when none is installed. */
export const decompressor = (compression: Exclude<Compression, "none">): string[] | undefined => {
  for (const [program = "", ...rest] of PROGRAMS[compression]) {
    const path = Bun.which(program);
    if (path !== null) return [path, ...rest];
  }
  return undefined;
};

/** For formats that only a program can undo. */
export const missingProgram = (compression: Compression): NaruError =>
  new NaruError(
    "failed_precondition",
    `the archive is compressed with ${compression} and no "${compression}" is installed; install it`,
  );
