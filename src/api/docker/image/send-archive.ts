/**
 * An archive as an answer: what is in memory of its files goes from there straight into the connection, and only the
 * rest through this process. `docker save` of 200 MB then costs this thread a tenth of what copying did.
 */
import { closeSync, openSync, read, readSync } from "node:fs";
import type { AnswerStream } from "#api/http/exchange.ts";
import type { ArchiveSegment } from "#image/archive-segment.ts";
import { NaruError } from "#lib/errors.ts";
import type { FileSender } from "#kernel/send-file.ts";

/** With so much under way the client does not run dry while this thread answers others. */
const SOCKET_BYTES = 2 * 1024 * 1024;
const PASS_BYTES = 512 * 1024;
/** At once, without a look at who else waits. */
const TURN_BYTES = 4 * 1024 * 1024;
/** By way of this process, when the socket is full: the runtime tells when that is taken. */
const FEW_BYTES = 64 * 1024;
/** The same where nothing goes past this process (TLS, a cold file). */
const MANY_BYTES = 1024 * 1024;

interface Part {
  readonly fd: number;
  readonly path: string;
  readonly end: number;
  at: number;
}

const readInto = (fd: number, buffer: Buffer, length: number, position: number): Promise<number> =>
  new Promise((resolve, reject) => {
    read(fd, buffer, 0, length, position, (error, bytesRead) => {
      if (error === null) resolve(bytesRead);
      else reject(error);
    });
  });

/** A read from the disk would hold the thread: bytes count as cached when the first and the last are. */
const isCached = ({ fd, at }: Part, sizeBytes: number, sender: FileSender): boolean =>
  sender.isCached(fd, at) && sender.isCached(fd, at + sizeBytes - 1);

/** Until the socket is full, or the turn is over. */
const passOn = (part: Part, stream: AnswerStream, sender: FileSender): void => {
  const turnEnd = Math.min(part.end, part.at + TURN_BYTES);
  while (part.at < turnEnd) {
    const sizeBytes = Math.min(PASS_BYTES, turnEnd - part.at);
    if (!isCached(part, sizeBytes, sender)) return;
    const passed = stream.pass?.((connection) => {
      const socket = sender.socketOf(connection);
      return socket === undefined ? 0 : sender.send(socket, part.fd, part.at, sizeBytes);
    });
    part.at += passed ?? 0;
    if (passed !== sizeBytes) return;
  }
};

/** The next bytes by way of this process. */
const writeNext = async (
  part: Part,
  buffer: Buffer,
  stream: AnswerStream,
  sender: FileSender,
): Promise<void> => {
  const length = isCached(part, buffer.length, sender)
    ? readSync(part.fd, buffer, 0, buffer.length, part.at)
    : await readInto(part.fd, buffer, buffer.length, part.at);
  if (length === 0) throw new NaruError("data_loss", `"${part.path}" is shorter than it was`);
  part.at += length;
  await stream.write(buffer.subarray(0, length));
};

const sendFileRange = async (
  range: Extract<ArchiveSegment, { readonly path: string }>,
  stream: AnswerStream,
  sender: FileSender,
  signal: AbortSignal,
): Promise<void> => {
  const { path, start, end } = range;
  const fd = openSync(path, "r");
  try {
    const buffer = Buffer.allocUnsafeSlow(Math.min(MANY_BYTES, end - start));
    const part: Part = { fd, path, end, at: start };
    while (part.at < end) {
      signal.throwIfAborted();
      const before = part.at;
      passOn(part, stream, sender);
      if (part.at - before === TURN_BYTES) await new Promise((resolve) => setImmediate(resolve));
      if (part.at === end) break;
      const sizeBytes = Math.min(part.at > before ? FEW_BYTES : MANY_BYTES, end - part.at);
      await writeNext(part, buffer.subarray(0, sizeBytes), stream, sender);
    }
  } finally {
    closeSync(fd);
  }
};

/** `stream` is a counted body of the segments' length. */
export const sendArchive = async (
  segments: readonly ArchiveSegment[],
  stream: AnswerStream,
  sender: FileSender,
  signal: AbortSignal,
): Promise<void> => {
  stream.pass?.((connection) => {
    sender.widen(connection, SOCKET_BYTES);
    return 0;
  });
  for (const segment of segments) {
    if ("bytes" in segment) await stream.write(segment.bytes);
    else await sendFileRange(segment, stream, sender, signal);
  }
  stream.end();
};
