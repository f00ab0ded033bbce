/** Sends a range of an open file as a counted body: reads ahead by one buffer while the last one is on its way. */
import { read } from "node:fs";
import { Pace, type Patience } from "#api/distribution/patience.ts";
import type { AnswerStream } from "#api/http/exchange.ts";
import type { Growth } from "#registry/upstream/growth.ts";
import { NaruError } from "#lib/errors.ts";

const BUFFER_BYTES = 512 * 1024;
/** Buffers kept for the next transfer. */
const POOL_LIMIT = 16;

const pool: Buffer[] = [];

const take = (): Buffer => pool.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);

const give = (buffer: Buffer): void => {
  if (pool.length < POOL_LIMIT) pool.push(buffer);
};

const readInto = (fd: number, buffer: Buffer, length: number, position: number): Promise<number> =>
  new Promise((resolve, reject) => {
    read(fd, buffer, 0, length, position, (error, bytesRead) => {
      if (error === null) resolve(bytesRead);
      else reject(error);
    });
  });

export interface FileRange {
  readonly first: number;
  readonly sizeBytes: number;
  /** Of a file that is still being written. */
  readonly growth?: Growth | undefined;
}

/** The caller closes `fd`. Throws what writing throws, and data_loss when the file is shorter than the range. */
export const sendFile = async (
  fd: number,
  range: FileRange,
  stream: AnswerStream,
  patience: Patience,
): Promise<void> => {
  const pace = new Pace(patience);
  const end = range.first + range.sizeBytes;
  let current = take();
  let spare = take();
  let at = range.first;
  const readNext = async (): Promise<number> => {
    if (at >= end) return 0;
    const there = Math.min(end, (await range.growth?.wait(at)) ?? end);
    return readInto(fd, current, Math.min(BUFFER_BYTES, there - at), at);
  };
  let reading = readNext();
  try {
    while (at < end) {
      const length = await reading;
      if (length === 0)
        throw new NaruError("data_loss", "a blob's file is shorter than it should be");
      const full = current.subarray(0, length);
      at += length;
      [current, spare] = [spare, current];
      reading = readNext();
      reading.catch(() => undefined);
      await pace.wait(stream.write(full));
      pace.moved(length);
    }
    stream.end();
    give(current);
    give(spare);
  } finally {
    // After a failure the buffers may still be in use by the kernel: they are not given back.
    await reading.catch(() => 0);
  }
};
