/**
 * A stream of messages over a connected AF_UNIX SOCK_SEQPACKET socket (conmon's attach socket): one
 * write is one packet, one packet is one message.
 *
 * The runtime's socket does one recv(2) for each data event and one send(2) for each write, and the
 * kernel never splits or joins packets: so boundaries hold. Three of its habits are worked around:
 *  - One packet is one turn of the event loop. What else waits by then is taken beside it (recvmmsg).
 *  - When the other side closes with bytes of ours unread, recv(2) answers ECONNRESET once, before
 *    what is still queued for us; the runtime then closes and the rest would be lost. A duplicate of
 *    the descriptor stays here to read it.
 *  - A write that does not fit answers 0 and is not kept: it waits here for the drain event.
 */
import type { Socket } from "bun";
import { NaruError } from "#lib/errors.ts";
import { connectDescriptor } from "#kernel/descriptor-socket.ts";
import { ERRNO } from "#kernel/errno.ts";
import { takePackets } from "#kernel/packet-batch.ts";
import { duplicate, lastErrno, libc } from "#kernel/libc.ts";

export interface SeqpacketStream {
  /**
   * Sends one packet of 1 to 65,536 bytes; resolves when the kernel has taken it. Writes go out in
   * the order of their calls. Rejects with `unavailable` when either side is closed.
   */
  write(bytes: Uint8Array): Promise<void>;
  /** The other side reads end-of-file after what was written; it can still send. */
  shutdownWrite(): void;
  /** Closes the descriptor and ends `messages`, what is queued included. Twice is fine. */
  close(): void;
  /**
   * All packets that have come by then, in order, at least one; ends when the other side has closed or shut down. For
   * one consumer. When nobody reads, about a mebibyte is held and then the sender has to wait.
   */
  readonly batches: AsyncIterableIterator<readonly Uint8Array[]>;
}

const MAX_MESSAGE_BYTES = 65_536;
const HIGH_WATER_BYTES = 1 << 20;
/** Even small packets cost memory: each counts for this much at least. */
const MIN_COST_BYTES = 512;
const MSG_DONTWAIT = 0x40;

const cost = (message: Uint8Array): number => Math.max(message.length, MIN_COST_BYTES);

/** Reads what is left in the socket after the runtime has let go of it. */
const drainRest = (fd: number): Uint8Array[] => {
  const rest: Uint8Array[] = [];
  const buffer = new Uint8Array(256 * 1024); // no packet is larger than a send buffer
  let hasReset = false;
  for (;;) {
    const length = Number(libc().recv(fd, buffer, buffer.length, MSG_DONTWAIT));
    if (length > 0) rest.push(buffer.slice(0, length));
    else if (length === 0 || hasReset || lastErrno() !== ERRNO["ECONNRESET"]) return rest;
    else hasReset = true; // told once, then the queue goes on
  }
};

const closed = (): NaruError =>
  new NaruError("unavailable", "the message socket is closed: the other side has gone", {
    details: { errno: "EPIPE", call: "send", path: "seqpacket" },
  });

class Seqpacket implements SeqpacketStream {
  readonly batches: AsyncIterableIterator<readonly Uint8Array[]>;
  #socket: Socket | undefined;
  readonly #spareFd: number;
  #state: "open" | "ended" | "closed" = "open";
  #isSpareOpen = true;
  #isPaused = false;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #wakeReader: (() => void) | undefined;
  #drained: PromiseWithResolvers<void> | undefined;
  #lastWrite: Promise<void> = Promise.resolve();

  constructor(fd: number) {
    this.#spareFd = duplicate(fd);
    this.batches = this.#read();
    const connecting = connectDescriptor({
      fd,
      allowHalfOpen: true,
      socket: {
        open: (socket) => void (this.#socket = socket),
        data: (_, message) => this.#onData(message),
        end: () => this.#end(),
        drain: () => this.#drained?.resolve(),
        close: () => this.#onClose(),
      },
    });
    // A descriptor that is no socket: there is nobody to tell but the reader and the writers.
    connecting.catch(() => this.#onClose());
  }

  write(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0 || bytes.length > MAX_MESSAGE_BYTES) {
      throw new NaruError(
        "invalid_argument",
        `a packet of ${bytes.length} bytes cannot be sent: 1 to ${MAX_MESSAGE_BYTES} fit`,
      );
    }
    const write = this.#lastWrite.then(() => this.#send(bytes));
    this.#lastWrite = write.catch(() => undefined); // a failure is its caller's; the next one finds out itself
    return write;
  }

  shutdownWrite(): void {
    if (this.#state !== "closed")
      this.#lastWrite = this.#lastWrite.then(() => this.#socket?.shutdown());
  }

  close(): void {
    this.#queue = [];
    this.#closeSpare();
    this.#socket?.terminate();
    this.#onClose();
  }

  async #send(bytes: Uint8Array): Promise<void> {
    for (;;) {
      if (this.#state === "closed" || this.#socket === undefined) throw closed();
      this.#drained = Promise.withResolvers();
      const sent = this.#socket.write(bytes);
      if (sent === bytes.length) return;
      if (sent < 0) throw closed();
      // oxlint-disable-next-line no-await-in-loop -- the same packet again once there is room
      await this.#drained.promise;
    }
  }

  #onData(message: Uint8Array): void {
    this.#push(message);
    while (!this.#isPaused && this.#isSpareOpen) {
      const more = takePackets(this.#spareFd);
      for (const packet of more.packets) this.#push(packet);
      if (!more.isFull) break;
    }
    this.#wakeReader?.();
  }

  #push(message: Uint8Array): void {
    this.#queue.push(message);
    this.#queuedBytes += cost(message);
    if (this.#isPaused || this.#queuedBytes <= HIGH_WATER_BYTES) return;
    this.#isPaused = true;
    this.#socket?.pause();
  }

  #end(): void {
    if (this.#state === "open") this.#state = "ended";
    this.#wakeReader?.();
  }

  #onClose(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    if (this.#isSpareOpen) {
      for (const message of drainRest(this.#spareFd)) this.#queue.push(message);
      this.#closeSpare();
    }
    this.#drained?.resolve();
    this.#wakeReader?.();
  }

  #closeSpare(): void {
    if (!this.#isSpareOpen) return;
    this.#isSpareOpen = false;
    libc().close(this.#spareFd);
  }

  async *#read(): AsyncGenerator<readonly Uint8Array[], void> {
    for (;;) {
      const batch = this.#queue;
      if (batch.length > 0) {
        this.#queue = [];
        this.#queuedBytes = 0;
        if (this.#isPaused) {
          this.#isPaused = false;
          this.#socket?.resume();
        }
        yield batch;
        continue;
      }
      if (this.#state !== "open") return;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wakeReader = resolve;
      // oxlint-disable-next-line no-await-in-loop -- waits for the next packet
      await promise;
    }
  }
}

/** Takes over `fd` (non-blocking, connected): `close` closes it. */
export const openSeqpacket = (fd: number): SeqpacketStream => new Seqpacket(fd);
