/**
 * One upload's file: appends, hashing on the way. Two buffers' worth of work is under way at once: while one
 * chunk is being written by the thread pool the next is received and hashed. What reached the disk goes back
 * to the kernel's disposal early, so that the sync at the end has little left to do.
 */
import { type FileHandle, open } from "node:fs/promises";
import { createReadStream } from "node:fs";
import { distributionError } from "#spec/distribution/errors.ts";

/** Small chunks are gathered up to here before they are written. */
const BATCH_BYTES = 1024 * 1024;
/** So much is written before the disk is asked, in the background, to take it. */
const SYNC_EVERY_BYTES = 16 * 1024 * 1024;
const READ_BYTES = 1024 * 1024;

export type HashAlgorithm = "sha256" | "sha512";

export const hashFile = async (
  path: string,
  algorithm: HashAlgorithm,
): Promise<Bun.CryptoHasher> => {
  const hasher = new Bun.CryptoHasher(algorithm);
  for await (const chunk of createReadStream(path, { highWaterMark: READ_BYTES })) {
    hasher.update(chunk as Uint8Array);
  }
  return hasher;
};

/** Gathers, writes at an offset, syncs now and then. At most one write and one batch are in memory. */
class Writer {
  readonly #file: FileHandle;
  #offset: number;
  #parts: Uint8Array[] = [];
  #partBytes = 0;
  #writing: Promise<unknown> = Promise.resolve();
  #unsynced = 0;
  #syncing: Promise<unknown> | undefined;

  constructor(file: FileHandle, offset: number) {
    this.#file = file;
    this.#offset = offset;
  }

  /** undefined, or a promise to wait for before more is given. */
  push(chunk: Uint8Array): Promise<void> | undefined {
    this.#parts.push(chunk);
    this.#partBytes += chunk.length;
    return this.#partBytes < BATCH_BYTES ? undefined : this.#flush();
  }

  async #flush(): Promise<void> {
    await this.#writing;
    if (this.#partBytes === 0) return;
    const parts = this.#parts;
    const length = this.#partBytes;
    const at = this.#offset;
    this.#parts = [];
    this.#partBytes = 0;
    this.#offset += length;
    this.#writing = this.#write(parts, length, at);
    // Told to whoever waits next.
    this.#writing.catch(() => undefined);
    this.#unsynced += length;
    if (this.#unsynced >= SYNC_EVERY_BYTES && this.#syncing === undefined) {
      this.#unsynced = 0;
      // Only to begin early: `finish` syncs all of it and reports what fails.
      this.#syncing = this.#file
        .datasync()
        .catch(() => undefined)
        .finally(() => {
          this.#syncing = undefined;
        });
    }
  }

  /** A write that was cut short is gone on with, so that what cut it (a full disk) says its name. */
  async #write(parts: Uint8Array[], length: number, at: number): Promise<void> {
    let { bytesWritten: done } = await this.#file.writev(parts, at);
    if (done === length) return;
    const all = Buffer.concat(parts);
    while (done < length) {
      const { bytesWritten } = await this.#file.write(all, done, length - done, at + done);
      done += bytesWritten;
    }
  }

  async finish(): Promise<void> {
    await this.#flush();
    await this.#writing;
    await this.#syncing;
    await this.#file.sync();
  }

  /** Waits until nothing is being written any more, whatever became of it. */
  async settle(): Promise<void> {
    await this.#flush().catch(() => undefined);
    await this.#writing.catch(() => undefined);
    await this.#syncing;
  }
}

export interface Append {
  readonly path: string;
  readonly offset: number;
  readonly limitBytes: number;
  readonly hasher: Bun.CryptoHasher;
  /** Told of each chunk that was taken, with its bytes. */
  readonly onBytes?: (sizeBytes: number) => void;
}

/**
 * Appends `source`; resolves with the bytes that were taken once they are synced. When the source fails, what came
 * before is written and the failure thrown; `onBytes` has told how much that was.
 */
export const appendTo = async (
  append: Append,
  source: AsyncIterable<Uint8Array>,
): Promise<number> => {
  const file = await open(append.path, "r+");
  const writer = new Writer(file, append.offset);
  let taken = 0;
  try {
    for await (const chunk of source) {
      if (taken + chunk.length > append.limitBytes) {
        throw distributionError(
          "SIZE_INVALID",
          `more than the ${append.limitBytes} bytes that are allowed here arrived`,
          { status: 413 },
        );
      }
      taken += chunk.length;
      append.hasher.update(chunk);
      append.onBytes?.(chunk.length);
      const wait = writer.push(chunk);
      if (wait !== undefined) await wait;
    }
    await writer.finish();
    return taken;
  } catch (error) {
    await writer.settle();
    throw error;
  } finally {
    await file.close();
  }
};
