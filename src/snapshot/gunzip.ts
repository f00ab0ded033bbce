/**
 * A gzip file (RFC 1952) as far as somebody reads it. What lies behind its last member does not matter, nor do the sums
 * at a member's end: who reads an archive knows from within where that is. The runtime's own gunzip drops what it has
 * decompressed already when it meets such an end (Bun 1.4.5).
 */
import { closeSync, createReadStream, openSync, readSync } from "node:fs";
import { createInflateRaw } from "node:zlib";
import { NaruError } from "#lib/errors.ts";
import { transformed } from "#snapshot/transformed.ts";

const HEAD_BYTES = 10;
const TRAILER_BYTES = 8;
const HEAD_MAX_BYTES = 64 * 1024;
const [HEADER_SUM, EXTRA, NAME, COMMENT] = [2, 4, 8, 16];

/** Where the data of a member begins; undefined for what is no member's head. */
const headLength = (head: Buffer): number | undefined => {
  if (head.length < HEAD_BYTES || head[0] !== 0x1f || head[1] !== 0x8b || head[2] !== 8) {
    return undefined;
  }
  const flags = head[3] ?? 0;
  let at = HEAD_BYTES;
  if ((flags & EXTRA) !== 0) {
    if (head.length < at + 2) return undefined;
    at += 2 + head.readUInt16LE(at);
  }
  for (const field of [NAME, COMMENT]) {
    if ((flags & field) === 0) continue;
    const end = head.indexOf(0, at);
    if (end < 0) return undefined;
    at = end + 1;
  }
  return (flags & HEADER_SUM) === 0 ? at : at + 2;
};

const readHead = (path: string, offset: number): Buffer => {
  const fd = openSync(path, "r");
  try {
    const head = Buffer.alloc(HEAD_MAX_BYTES);
    return head.subarray(0, readSync(fd, head, 0, head.length, offset));
  } finally {
    closeSync(fd);
  }
};

const damaged = (cause?: unknown): NaruError =>
  new NaruError("invalid_argument", "the gzip data of the archive is damaged", { cause });

/** Yields the data that begins at `start`; gives how many bytes of the file it took. */
async function* inflate(path: string, start: number): AsyncGenerator<Uint8Array, number> {
  const source = createReadStream(path, { start });
  const transform = createInflateRaw();
  yield* transformed(source, transform, damaged);
  return transform.bytesWritten;
}

/** All members, one after the other. Throws invalid_argument for damaged data. */
export async function* gunzipFile(path: string): AsyncGenerator<Uint8Array, void> {
  for (let offset = 0; ;) {
    const length = headLength(readHead(path, offset));
    if (length === undefined) {
      if (offset === 0) throw damaged();
      return;
    }
    offset += length;
    offset += (yield* inflate(path, offset)) + TRAILER_BYTES;
  }
}
