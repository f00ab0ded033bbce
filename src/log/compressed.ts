/**
 * Rotated files as gzip (RFC 1952), for the log option "compress".
 */
import { closeSync, fstatSync, openSync, renameSync, rmSync, unlinkSync, writeSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { crc32, createDeflateRaw, createGunzip } from "node:zlib";
import { randomHex } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import type { OpenLogFile } from "#log/files.ts";
import { gzipHeader, identityOf } from "#log/identity.ts";
import { readAt } from "#log/read-at.ts";

const UINT32 = 2 ** 32;
const BLOCK_BYTES = 256 * 1024;

// Streams over a descriptor close it when they fail; here whoever opened it does.
async function* blocksOf(
  fd: number,
  onBlock?: (block: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; ;) {
    const block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
    // oxlint-disable-next-line no-await-in-loop -- in their order
    const bytesRead = await readAt(fd, block, 0, BLOCK_BYTES, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    const read = block.subarray(0, bytesRead);
    onBlock?.(read);
    yield read;
  }
}

const into =
  (fd: number) =>
  async (source: AsyncIterable<Uint8Array>): Promise<void> => {
    for await (const block of source) {
      for (let at = 0; at < block.length;) at += writeSync(fd, block, at);
    }
  };

/**
 * Puts `<path>.gz` in the place of `path`; nobody may write to it any more. A kill on the way leaves
 * `path` as it was. Does nothing when the file has gone.
 */
export const compressFile = async (path: string): Promise<void> => {
  let source: number;
  try {
    source = openSync(path, "r");
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return;
    throw error;
  }
  const half = `${path}.gz.half`;
  const out = openSync(half, "w", 0o600);
  try {
    const identity = identityOf(fstatSync(source, { bigint: true }));
    writeSync(out, gzipHeader(identity));
    let checksum = 0;
    let size = 0;
    const onBlock = (block: Uint8Array): void => {
      checksum = crc32(block, checksum);
      size += block.length;
    };
    await pipeline(blocksOf(source, onBlock), createDeflateRaw(), into(out));
    const tail = Buffer.alloc(8);
    tail.writeUInt32LE(checksum, 0);
    tail.writeUInt32LE(size % UINT32, 4);
    writeSync(out, tail);
    renameSync(half, `${path}.gz`);
    rmSync(path, { force: true });
  } catch (error) {
    rmSync(half, { force: true });
    throw error;
  } finally {
    closeSync(out);
    closeSync(source);
  }
};

/**
 * The file's text behind a descriptor that reads from anywhere, in a file without a name in
 * `directory`; `file.fd` is closed. What is not compressed is given back as it is.
 */
export const expandFile = async (file: OpenLogFile, directory: string): Promise<OpenLogFile> => {
  if (!file.isCompressed) return file;
  const name = `${directory}/.reading-${randomHex(8)}`;
  const fd = openSync(name, "wx+", 0o600);
  unlinkSync(name);
  try {
    await pipeline(blocksOf(file.fd), createGunzip(), into(fd));
  } catch (cause) {
    closeSync(fd);
    const message = `a rotated log file in ${directory} cannot be expanded: ${String(cause)}; remove it to read the rest`;
    throw new NaruError("data_loss", message, { cause });
  } finally {
    closeSync(file.fd);
  }
  return { ...file, fd, size: fstatSync(fd).size, isCompressed: false };
};
