/**
 * One upload's file: appends, hashing on the way. While chunks are being written by the thread pool the next are
 * received and hashed. One sync at the end: each one makes the file system's journal wait for what others write.
 */
import { type FileHandle, open } from "node:fs/promises";
import { createReadStream } from "node:fs";
import { distributionError } from "#spec/distribution/errors.ts";

/** Small chunks are gathered up to here before they are written. */
const BATCH_BYTES = 1024 * 1024;
/** Of one upload, under way at once. */
const WRITES_LIMIT = 3;
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

/**
 * Gathers and writes at an offset. A few writes are under way at a time: where the machine is busy
 * each would otherwise cost a turn of waiting.
 */
class Writer {
  readonly #file: FileHandle;
  readonly #writing = new Set<Promise<void>>();
  #offset: number;
  #parts: Uint8Array[] = [];
  #partBytes = 0;
  #failure: { readonly at: number; readonly error: unknown } | undefined;

  constructor(file: FileHandle, offset: number) {
    this.#file = file;
    this.#offset = offset;
  }

  /** undefined, or a promise to wait for before more is given. Throws what an earlier write failed with. */
  push(chunk: Uint8Array): Promise<void> | undefined {
    if (this.#failure !== undefined) throw this.#failure.error;
    this.#parts.push(chunk);
    this.#partBytes += chunk.length;
    if (this.#partBytes < BATCH_BYTES) return undefined;
    this.#flush();
    return this.#writing.size < WRITES_LIMIT ? undefined : Promise.race(this.#writing);
  }

  #flush(): void {
    if (this.#partBytes === 0) return;
    const parts = this.#parts;
    const length = this.#partBytes;
    const at = this.#offset;
    this.#parts = [];
    this.#partBytes = 0;
    this.#offset += length;
    const write = this.#write(parts, length, at)
      .catch((error: unknown) => {
        if (this.#failure === undefined || at < this.#failure.at) this.#failure = { at, error };
      })
      .finally(() => this.#writing.delete(write));
    this.#writing.add(write);
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

  /** Everything is written and synced, or it throws. */
  async finish(): Promise<void> {
    await this.settle();
    if (this.#failure !== undefined) throw this.#failure.error;
    await this.#file.sync();
  }

  /** Waits until nothing is being written any more, whatever became of it. */
  async settle(): Promise<void> {
    this.#flush();
    await Promise.all(this.#writing);
  }

  /** After a failure: what follows the first write that failed has a hole before it and goes. */
  async cutToSound(): Promise<void> {
    await this.#file.truncate(this.#failure?.at ?? this.#offset);
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
    await writer.cutToSound();
    throw error;
  } finally {
    await file.close();
  }
};
