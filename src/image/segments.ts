/** Sends the pieces of an archive: files are read ahead off the thread, so that a slow disk holds up nobody else. */
import { type FileHandle, open } from "node:fs/promises";
import type { ArchiveSegment } from "#image/archive-segment.ts";
import { NaruError } from "#lib/errors.ts";

const READ_BYTES = 1024 * 1024;

const readPart = async (
  file: FileHandle,
  path: string,
  start: number,
  end: number,
): Promise<Uint8Array> => {
  const buffer = Buffer.allocUnsafeSlow(end - start);
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, start + filled);
    if (bytesRead === 0) throw new NaruError("data_loss", `"${path}" is shorter than it was`);
    filled += bytesRead;
  }
  return buffer;
};

/** The next part is under way while the last one is being sent. */
async function* readRange(
  path: string,
  start: number,
  end: number,
): AsyncGenerator<Uint8Array, void> {
  await using file = await open(path, "r");
  let ahead: Promise<Uint8Array> | undefined;
  try {
    for (let at = start; at < end; at += READ_BYTES) {
      const bytes = await (ahead ?? readPart(file, path, at, Math.min(at + READ_BYTES, end)));
      const next = at + READ_BYTES;
      ahead = next < end ? readPart(file, path, next, Math.min(next + READ_BYTES, end)) : undefined;
      ahead?.catch(() => undefined); // Awaited in the next round, or nobody wants it any more.
      yield bytes;
    }
  } finally {
    await ahead?.catch(() => undefined); // The descriptor is closed behind it.
  }
}

async function* readSegments(
  segments: readonly ArchiveSegment[],
): AsyncGenerator<Uint8Array, void> {
  for (const segment of segments) {
    if ("bytes" in segment) yield segment.bytes;
    else yield* readRange(segment.path, segment.start, segment.end);
  }
}

/** Ends with an error when `signal` aborts. */
export const streamSegments = (
  segments: readonly ArchiveSegment[],
  signal: AbortSignal,
): ReadableStream<Uint8Array> => {
  const chunks = readSegments(segments);
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        try {
          signal.throwIfAborted();
          const next = await chunks.next();
          if (next.done === true) controller.close();
          else controller.enqueue(next.value);
        } catch (error) {
          await chunks.return();
          throw error;
        }
      },
      cancel: async () => void (await chunks.return()),
    },
    { highWaterMark: 0 },
  );
};
