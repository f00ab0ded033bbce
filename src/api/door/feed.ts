/** The bytes of one side of a connection, taken when they are wanted: what nobody takes waits in the kernel. */
import type { Duplex } from "node:stream";
import { HEAD_LIMIT_BYTES } from "#api/http/head.ts";
import { NaruError } from "#lib/errors.ts";

const QUEUE_LIMIT_BYTES = 256 * 1024;
const HEAD_END = Buffer.from("\r\n\r\n");

export class Feed {
  readonly socket: Duplex;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #isEnded = false;
  #wake: (() => void) | undefined;

  constructor(socket: Duplex) {
    this.socket = socket;
    const end = (): void => {
      this.#isEnded = true;
      this.#wake?.();
    };
    socket.on("data", (bytes: Buffer) => {
      this.#queue.push(bytes);
      this.#queuedBytes += bytes.length;
      if (this.#queuedBytes >= QUEUE_LIMIT_BYTES) socket.pause();
      this.#wake?.();
    });
    socket.on("end", end);
    socket.on("close", end);
    // Who broke off is told by the end of the bytes.
    socket.on("error", end);
  }

  /** Nothing came that has not been taken, and the other side may still send. */
  get isQuiet(): boolean {
    return this.#queue.length === 0 && !this.#isEnded;
  }

  /** undefined at the end. */
  async next(): Promise<Buffer | undefined> {
    while (this.#queue.length === 0 && !this.#isEnded) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      // oxlint-disable-next-line no-await-in-loop -- until something comes
      await promise;
    }
    const bytes = this.#queue.shift();
    this.#queuedBytes -= bytes?.length ?? 0;
    if (this.#queuedBytes < QUEUE_LIMIT_BYTES && this.socket.isPaused()) this.socket.resume();
    return bytes;
  }

  /** What was taken too much. */
  putBack(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#queue.unshift(bytes);
    this.#queuedBytes += bytes.length;
  }

  /** The head of a message as latin1, without the empty line; undefined when nothing more comes. */
  async head(): Promise<string | undefined> {
    let received: Buffer = Buffer.alloc(0);
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- piece after piece
      const bytes = await this.next();
      if (bytes === undefined) return undefined;
      received = received.length === 0 ? bytes : Buffer.concat([received, bytes]);
      // An empty line before a request is to be passed over (RFC 9112 2.2).
      while (received[0] === 13 && received[1] === 10) received = received.subarray(2);
      const end = received.indexOf(HEAD_END);
      if (end >= 0) {
        this.putBack(received.subarray(end + HEAD_END.length));
        return received.toString("latin1", 0, end);
      }
      if (received.length > HEAD_LIMIT_BYTES) {
        throw new NaruError("invalid_argument", "the head is too long", {
          details: { status: 431 },
        });
      }
    }
  }
}

/** Resolves when more may be written; false when the other side is gone. */
export const write = async (socket: Duplex, bytes: Uint8Array | string): Promise<boolean> => {
  if (socket.destroyed || socket.writableEnded) return false;
  if (typeof bytes === "string" ? socket.write(bytes, "latin1") : socket.write(bytes)) return true;
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = (): void => resolve();
  socket.once("drain", done);
  socket.once("close", done);
  if (socket.destroyed) done();
  await promise;
  socket.off("drain", done);
  socket.off("close", done);
  return !socket.destroyed;
};
