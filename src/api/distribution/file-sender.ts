/**
 * Sends a range of an open file as a counted body: from the page cache straight into the socket where that is
 * possible, else through two buffers, one read while the other is on its way.
 */
import { read, readSync } from "node:fs";
import type { DistributionBackend } from "#api/distribution/backend.ts";
import { Pace } from "#api/distribution/patience.ts";
import type { AnswerStream } from "#api/http/exchange.ts";
import type { Growth } from "#registry/upstream/growth.ts";
import type { FileSender } from "#kernel/send-file.ts";
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

/** At once past this process. */
const PART_BYTES = 1024 * 1024;
/** By way of this process when the socket is full: the runtime tells when that is taken. */
const FEW_BYTES = 64 * 1024;

/** Under way in the socket; the kernel makes it twice as much. More is slower: it no longer stays in the processor. */
const SOCKET_BYTES = 512 * 1024;

interface Transfer {
  readonly fd: number;
  readonly stream: AnswerStream;
  readonly pace: Pace;
  readonly end: number;
  at: number;
}

const tooShort = (): NaruError =>
  new NaruError("data_loss", "a blob's file is shorter than it should be");

/** A read from the disk would hold the thread: a part counts as cached when both its ends are. */
const isCached = ({ fd, at }: Transfer, sizeBytes: number, sender: FileSender): boolean =>
  sender.isCached(fd, at) && sender.isCached(fd, at + sizeBytes - 1);

/** Past this process. What the socket does not take is left. */
const pass = (transfer: Transfer, sizeBytes: number, sender: FileSender): void => {
  const { fd, stream, pace, at } = transfer;
  const passed = stream.pass?.((connection) => {
    const socket = sender.socketOf(connection);
    return socket === undefined ? 0 : sender.sendCopy(socket, fd, at, sizeBytes);
  });
  transfer.at += passed ?? 0;
  pace.moved(passed ?? 0);
};

/** A new connection would have to grow into a large blob, and the blob be half through by then. */
const widen = ({ stream }: Transfer, sender: FileSender): void => {
  stream.pass?.((connection) => {
    sender.widen(connection, SOCKET_BYTES);
    return 0;
  });
};

const sendPast = async (transfer: Transfer, sender: FileSender): Promise<void> => {
  const { fd, stream, pace, end } = transfer;
  if (end - transfer.at > SOCKET_BYTES) widen(transfer, sender);
  const buffer = take();
  while (transfer.at < end) {
    const sizeBytes = Math.min(PART_BYTES, end - transfer.at);
    const isHere = isCached(transfer, sizeBytes, sender);
    if (isHere) pass(transfer, sizeBytes, sender);
    const wanted = Math.min(isHere ? FEW_BYTES : BUFFER_BYTES, end - transfer.at);
    if (wanted === 0) break;
    const length =
      isHere && isCached(transfer, wanted, sender)
        ? readSync(fd, buffer, 0, wanted, transfer.at)
        : await readInto(fd, buffer, wanted, transfer.at);
    if (length === 0) throw tooShort();
    transfer.at += length;
    await pace.wait(stream.write(buffer.subarray(0, length)));
    pace.moved(length);
  }
  give(buffer);
};

/** The caller closes `fd`. Throws what writing throws, and data_loss when the file is shorter than the range. */
export const sendFile = async (
  fd: number,
  range: FileRange,
  stream: AnswerStream,
  { patience, fileSender }: Pick<DistributionBackend, "patience" | "fileSender">,
): Promise<void> => {
  const pace = new Pace(patience);
  const { first, growth } = range;
  const end = first + range.sizeBytes;
  if (fileSender !== undefined && growth === undefined && stream.pass !== undefined) {
    await sendPast({ fd, stream, pace, end, at: first }, fileSender);
  } else {
    await sendThrough(fd, range, stream, pace);
  }
  stream.end();
};

const sendThrough = async (
  fd: number,
  range: FileRange,
  stream: AnswerStream,
  pace: Pace,
): Promise<void> => {
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
      if (length === 0) throw tooShort();
      const full = current.subarray(0, length);
      at += length;
      [current, spare] = [spare, current];
      reading = readNext();
      reading.catch(() => undefined);
      await pace.wait(stream.write(full));
      pace.moved(length);
    }
    give(current);
    give(spare);
  } finally {
    // After a failure the buffers may still be in use by the kernel: they are not given back.
    await reading.catch(() => 0);
  }
};
