/** gRPC's own framing of messages: one byte for compression, four for the length, the message. */
import { NaruError } from "#lib/errors.ts";

const HEAD_BYTES = 5;
/** What Go's clients and servers of this protocol are set to. */
export const MESSAGE_MAX_BYTES = 16 * 1024 * 1024;

export const frameOf = (message: Uint8Array): Buffer => {
  const frame = Buffer.allocUnsafe(HEAD_BYTES + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, HEAD_BYTES);
  return frame;
};

/** Cuts a stream of bytes into messages. Throws resource_exhausted, and not_implemented for compression. */
export class FrameReader {
  #parts: Uint8Array[] = [];
  #sizeBytes = 0;

  *push(chunk: Uint8Array): Generator<Uint8Array, void> {
    this.#parts.push(chunk);
    this.#sizeBytes += chunk.length;
    while (this.#sizeBytes >= HEAD_BYTES) {
      const head = this.#peek(HEAD_BYTES);
      const length = head.readUInt32BE(1);
      if (head[0] !== 0) {
        throw new NaruError("not_implemented", "compressed gRPC messages are not supported");
      }
      if (length > MESSAGE_MAX_BYTES) {
        const reason = `a gRPC message of ${length} bytes is larger than ${MESSAGE_MAX_BYTES}`;
        throw new NaruError("resource_exhausted", reason);
      }
      if (this.#sizeBytes < HEAD_BYTES + length) return;
      const all = this.#peek(HEAD_BYTES + length);
      this.#drop(HEAD_BYTES + length);
      yield all.subarray(HEAD_BYTES, HEAD_BYTES + length);
    }
  }

  /** Throws when the stream ended inside a message. */
  end(): void {
    if (this.#sizeBytes > 0) throw new NaruError("data_loss", "a gRPC message was cut short");
  }

  #peek(count: number): Buffer {
    const first = this.#parts[0] ?? new Uint8Array();
    if (first.length >= count) return Buffer.from(first.buffer, first.byteOffset, first.length);
    const whole = Buffer.concat(this.#parts);
    this.#parts = [whole];
    return whole;
  }

  #drop(count: number): void {
    this.#sizeBytes -= count;
    const [first = new Uint8Array(), ...rest] = this.#parts;
    const left = first.subarray(count);
    this.#parts = left.length === 0 ? rest : [left, ...rest];
  }
}
