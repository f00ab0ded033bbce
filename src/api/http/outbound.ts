/** The writing side of a connection: back-pressure as a promise, silence after the end. */

import type { Socket } from "#api/http/socket.ts";
import { NaruError } from "#lib/errors.ts";

/** Lines that wait for the end of the turn; more goes out at once. */
const SOON_LIMIT_CHARS = 16 * 1024;
/** Up to here a chunk and its framing are copied into one write; beyond, the copy costs more. */
const COPY_LIMIT_BYTES = 16 * 1024;

/** What fits into a socket as it comes (net.core.wmem_default, less the kernel's own use). */
const NARROW_BYTES = 128 * 1024;
/** More is not laid up in the kernel for a client that does not read. */
const WIDEST_BYTES = 4 * 1024 * 1024;

/** Of a stream. */
const MUCH_BYTES = 64 * 1024;
const AHEAD_FACTOR = 4;

/** Makes room in a connection for bytes that its client has not read yet. */
export type Widen = (socket: Socket, sizeBytes: number) => void;

export class Outbound {
  readonly #socket: Socket;
  readonly #widen: Widen | undefined;
  #roomBytes = NARROW_BYTES;
  #isGone = false;
  #drain: PromiseWithResolvers<void> | undefined;
  /** Framed already, and not yet with the socket. */
  #soon = "";

  constructor(socket: Socket, widen?: Widen) {
    this.#socket = socket;
    this.#widen = widen;
    socket.on("drain", () => this.#release());
  }

  /** Returns false when the caller should wait for `drained`. */
  write(data: string | Uint8Array): boolean {
    if (this.#isGone) return true;
    const soon = this.#soon;
    this.#soon = "";
    if (soon !== "" && typeof data === "string") return this.#socket.write(soon + data);
    if (soon !== "") this.#socket.write(soon);
    return typeof data === "string" ? this.#socket.write(data) : this.#put(data);
  }

  /** Behind other bytes the stream keeps what it is given: where nobody waits for it to go out, that is a copy. */
  #put(data: Uint8Array): boolean {
    const { writableLength: aheadBytes, writableHighWaterMark: highBytes } = this.#socket;
    const isKept = aheadBytes > 0 && aheadBytes + data.length < highBytes;
    return this.#socket.write(isKept ? Buffer.from(data) : data);
  }

  /** What is written next has this size: it should go out in one piece, and its reader wake once. */
  expect(sizeBytes: number): void {
    const roomBytes = Math.min(sizeBytes, WIDEST_BYTES);
    if (roomBytes <= this.#roomBytes || this.#isGone) return;
    this.#roomBytes = roomBytes;
    this.#widen?.(this.#socket, roomBytes);
  }

  /** Writes and waits until the kernel took it. Throws canceled when the client is gone. */
  async send(data: string | Uint8Array): Promise<void> {
    // Who sends much at a time goes on with it: writer and reader need not take turns.
    if (data.length >= MUCH_BYTES) this.expect(data.length * AHEAD_FACTOR);
    if (!this.write(data)) await this.drained();
    if (this.#isGone) throw gone();
  }

  /** See `AnswerStream.pass`. */
  pass(send: (connection: Socket) => number): number {
    if (this.#soon !== "") this.write("");
    return this.#isGone ? 0 : send(this.#socket);
  }

  /**
   * A chunk that goes out by the end of the turn, with what else is written in it: a burst of lines costs one system
   * call, and wakes the client once. Waits only where a lot is gathered, or the client does not read. Throws canceled
   * when the client is gone.
   */
  async sendChunkSoon(text: string): Promise<void> {
    if (this.isFull) await this.drained();
    if (this.#isGone) throw gone();
    if (text === "") return;
    if (this.#soon === "") setImmediate(() => this.#soon !== "" && this.write(""));
    this.#soon += `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
    if (this.#soon.length >= SOON_LIMIT_CHARS) await this.send("");
  }

  /** One chunk of a chunked body (RFC 9112 §7.1). */
  async sendChunk(data: string | Uint8Array): Promise<void> {
    if (this.#isGone) throw gone();
    const size = typeof data === "string" ? Buffer.byteLength(data) : data.length;
    // An empty chunk would end the body.
    if (size === 0) return;
    if (typeof data === "string") {
      await this.send(`${size.toString(16)}\r\n${data}\r\n`);
    } else if (size <= COPY_LIMIT_BYTES) {
      await this.send(Buffer.concat([Buffer.from(`${size.toString(16)}\r\n`), data, CRLF]));
    } else {
      this.write(`${size.toString(16)}\r\n`);
      this.#put(data);
      await this.send(CRLF);
    }
  }

  /** The connection is closed: nobody waits for it any more. */
  abandon(): void {
    this.#isGone = true;
    this.#release();
  }

  /** What was written waits for its reader. */
  get isFull(): boolean {
    return this.#socket.writableNeedDrain && !this.#isGone;
  }

  /** Resolves when all of it is with the kernel, or the client is gone. To be called when there is something. */
  drained(): Promise<void> {
    this.#drain ??= Promise.withResolvers<void>();
    return this.#drain.promise;
  }

  #release(): void {
    this.#drain?.resolve();
    this.#drain = undefined;
  }
}

const CRLF = Buffer.from("\r\n");

const gone = (): NaruError => new NaruError("canceled", "the client closed its connection");
