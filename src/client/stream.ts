/**
 * The multiplexed stream of attach, exec and logs without a terminal: frames of an 8-byte head
 * (stream number, three zero bytes, big-endian length) and that many bytes.
 */
import { NaruError } from "#lib/errors.ts";

export type StreamName = "stdin" | "stdout" | "stderr" | "systemerr";

export interface StreamPiece {
  readonly stream: StreamName;
  /** A frame may come as several pieces. */
  readonly bytes: Uint8Array;
}

const HEAD_BYTES = 8;
const NAMES: readonly StreamName[] = ["stdin", "stdout", "stderr", "systemerr"];

/** Splits chunks into pieces; keeps what is incomplete until the next chunk. */
export class FrameDecoder {
  #head = new Uint8Array(HEAD_BYTES);
  #headLength = 0;
  #left = 0;
  #stream: StreamName = "stdout";

  decode(chunk: Uint8Array): StreamPiece[] {
    const pieces: StreamPiece[] = [];
    for (let offset = 0; offset < chunk.length;) {
      if (this.#left > 0) {
        const bytes = chunk.subarray(offset, offset + this.#left);
        this.#left -= bytes.length;
        offset += bytes.length;
        pieces.push({ stream: this.#stream, bytes });
        continue;
      }
      const part = chunk.subarray(offset, offset + HEAD_BYTES - this.#headLength);
      this.#head.set(part, this.#headLength);
      this.#headLength += part.length;
      offset += part.length;
      if (this.#headLength === HEAD_BYTES) this.#startFrame();
    }
    return pieces;
  }

  #startFrame(): void {
    const [number = 0, ...zeros] = this.#head.subarray(0, 4);
    const stream = NAMES[number];
    if (stream === undefined || zeros.some((byte) => byte !== 0)) {
      throw new NaruError("data_loss", `unrecognized stream ${String(number)} in the output`);
    }
    this.#stream = stream;
    this.#left = new DataView(this.#head.buffer).getUint32(4);
    this.#headLength = 0;
  }
}

export async function* demultiplex(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<StreamPiece> {
  const decoder = new FrameDecoder();
  for await (const chunk of chunks) yield* decoder.decode(chunk);
}
