/** Lines as objects, for those who look at them one by one. */
import type { LogLine, LogReadOptions, LogStream } from "#log/log.ts";
import { readBatches } from "#log/reader.ts";
import { CONTINUATION, type LogBatch, PARTIAL, STDERR } from "#log/scanner.ts";
import { LogWindow } from "#log/window.ts";

const MAX_JOINED_BYTES = 1024 * 1024;

/** Pieces of a line of one stream that wait for their end. */
class Joiner {
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #timestampNs = 0n;
  #isContinuation = false;
  readonly #stream: LogStream;

  constructor(stream: LogStream) {
    this.#stream = stream;
  }

  /** The line that is complete with this piece. */
  add(bytes: Uint8Array, flags: number, timestampNs: bigint): LogLine | undefined {
    if (this.#pieces.length === 0) {
      this.#timestampNs = timestampNs;
      this.#isContinuation = (flags & CONTINUATION) !== 0;
      if ((flags & PARTIAL) === 0) {
        return { stream: this.#stream, timestampNs, bytes, isContinuation: this.#isContinuation };
      }
    }
    this.#pieces.push(bytes);
    this.#bytes += bytes.length;
    return (flags & PARTIAL) === 0 || this.#bytes >= MAX_JOINED_BYTES ? this.flush() : undefined;
  }

  flush(): LogLine | undefined {
    if (this.#pieces.length === 0) return undefined;
    const line: LogLine = {
      stream: this.#stream,
      timestampNs: this.#timestampNs,
      bytes: Buffer.concat(this.#pieces),
      isContinuation: this.#isContinuation,
    };
    this.#pieces = [];
    this.#bytes = 0;
    return line;
  }
}

/** The lines that a batch completes; a batch of nothing flushes what waits. */
function* linesOf(
  batch: LogBatch,
  window: LogWindow,
  joiners: readonly [Joiner, Joiner],
): Generator<LogLine> {
  for (let index = 0; index < batch.count && !window.isPast; index += 1) {
    if (!window.wants(batch, index)) continue;
    const flags = batch.flags[index] ?? 0;
    const bytes = batch.block.subarray(batch.contents[index], batch.ends[index]);
    const line = joiners[(flags & STDERR) === 0 ? 0 : 1].add(bytes, flags, window.time.ns);
    if (line !== undefined) yield line;
  }
  if (batch.count === 0) yield* flushAll(joiners);
}

function* flushAll(joiners: readonly [Joiner, Joiner]): Generator<LogLine> {
  for (const joiner of joiners) {
    const line = joiner.flush();
    if (line !== undefined) yield line;
  }
}

/** The wanted lines, in the order they were written. */
export async function* readLog(options: LogReadOptions): AsyncGenerator<LogLine> {
  const window = new LogWindow(options, true);
  const joiners = [new Joiner(1), new Joiner(2)] as const;
  for await (const batch of readBatches(options)) {
    yield* linesOf(batch, window, joiners);
    if (window.isPast) break;
  }
  yield* flushAll(joiners);
}
