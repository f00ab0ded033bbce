/** Output ready to send, in chunks of about a block: for those who pass it on unseen. */
import type { LogChunkOptions, LogReadOptions } from "#log/log.ts";
import { readBatches } from "#log/reader.ts";
import { CONTINUATION, GARBAGE, type LogBatch, STDERR } from "#log/scanner.ts";
import { PRINTED_LENGTH } from "#log/timestamp.ts";
import { LogWindow } from "#log/window.ts";

const FRAME_HEADER_BYTES = 8;

/** Copies the wanted records of a batch into one chunk. */
const render = (
  batch: LogBatch,
  window: LogWindow,
  options: LogChunkOptions,
  details: Buffer,
): Uint8Array => {
  const { isMultiplexed, hasTimestamps = false } = options;
  const { block, count, starts, contents, ends, flags } = batch;
  const extra =
    (isMultiplexed ? FRAME_HEADER_BYTES : 0) +
    (hasTimestamps ? PRINTED_LENGTH : 0) +
    details.length;
  const out = Buffer.allocUnsafeSlow(block.length + count * extra);
  let at = 0;
  for (let index = 0; index < count; index += 1) {
    if (!window.wants(batch, index)) {
      if (window.isPast) break;
      continue;
    }
    const flag = flags[index] ?? 0;
    const frame = at;
    if (isMultiplexed) at += FRAME_HEADER_BYTES;
    if ((flag & CONTINUATION) === 0) {
      if (hasTimestamps) {
        const timed = lastTimed(batch, index);
        at =
          timed < 0
            ? window.time.print(out, at)
            : window.time.copy(block, starts[timed] ?? 0, out, at);
      }
      at += details.copy(out, at);
    }
    at += block.copy(out, at, contents[index], ends[index]);
    if (isMultiplexed) writeFrameHeader(out, frame, flag, at - frame - FRAME_HEADER_BYTES);
  }
  return out.subarray(0, at);
};

/** Garbage has the time of the line before it; -1 when that was in another batch. */
const lastTimed = ({ flags }: LogBatch, from: number): number => {
  let index = from;
  while (index >= 0 && ((flags[index] ?? 0) & GARBAGE) !== 0) index -= 1;
  return index;
};

const writeFrameHeader = (out: Buffer, at: number, flag: number, length: number): void => {
  out[at] = (flag & STDERR) === 0 ? 1 : 2;
  out[at + 1] = 0;
  out[at + 2] = 0;
  out[at + 3] = 0;
  out[at + 4] = length >>> 24;
  out[at + 5] = length >>> 16;
  out[at + 6] = length >>> 8;
  out[at + 7] = length;
};

/** The wanted output. Pieces of lines are passed on as they come. */
export async function* readLogChunks(
  options: LogReadOptions & LogChunkOptions,
): AsyncGenerator<Uint8Array> {
  const window = new LogWindow(options);
  const details = Buffer.from(options.details ?? "");
  for await (const batch of readBatches(options)) {
    const chunk = render(batch, window, options, details);
    if (chunk.length > 0) yield chunk;
    if (window.isPast) return;
  }
}
