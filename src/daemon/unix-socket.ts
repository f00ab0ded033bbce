/**
 * The engine's side of a connection to its unix socket, on the runtime's own sockets. Those of node:net do the same
 * with three layers of streams between, which also take ten milliseconds to load.
 */
import type { Socket } from "#api/http/socket.ts";
import { connectDescriptor } from "#kernel/descriptor-socket.ts";
import { type Parked, parkDescriptor } from "#kernel/parked-descriptor.ts";

type Native = Bun.Socket<UnixSocket>;

interface Listeners {
  data: (bytes: Buffer) => void;
  end: () => void;
  drain: () => void;
  close: () => void;
  error: (error: Error) => void;
}

const nothing = (): void => undefined;

export class UnixSocket implements Socket {
  /** What is kept is always told. */
  readonly writableHighWaterMark = 0;
  /** Undefined while it is parked. */
  #native: Native | undefined;
  #parked: Parked | undefined;
  /** One of a kind: a socket belongs to one connection. */
  readonly #listeners: Listeners = {
    data: nothing,
    end: nothing,
    drain: nothing,
    close: nothing,
    error: nothing,
  };
  /** Written, and not with the kernel yet. */
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #isInputEnded = false;
  #isEnding = false;
  #isClosed = false;
  #isDestroying = false;

  constructor(native: Native) {
    this.#native = native;
  }

  on<E extends keyof Listeners>(event: E, listener: Listeners[E]): void {
    this.#listeners[event] = listener;
  }

  /** Undefined once it is closed. */
  get descriptor(): number | undefined {
    if (this.#isClosed || this.#native === undefined) return undefined;
    return (this.#native as unknown as { readonly fd: number }).fd;
  }

  get writableLength(): number {
    return this.#waitingBytes;
  }

  get writableNeedDrain(): boolean {
    return this.#waitingBytes > 0;
  }

  get writableFinished(): boolean {
    return this.#isEnding && this.#waitingBytes === 0;
  }

  write(data: string | Uint8Array): boolean {
    // Nobody answers over a parked connection what was not asked.
    if (this.#isClosed || this.#isEnding || this.#native === undefined) return true;
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    if (this.#waitingBytes > 0) {
      this.#wait(bytes);
      return false;
    }
    const written = this.#native.write(bytes);
    // Gone: "close" is on its way.
    if (written < 0 || written === bytes.length) return true;
    this.#wait(bytes.subarray(written));
    return false;
  }

  end(): void {
    if (this.#isClosed || this.#isEnding) return;
    if (this.#native === undefined) return this.destroy();
    this.#isEnding = true;
    if (this.#waitingBytes === 0) this.#endNow();
  }

  destroy(): void {
    if (this.#isClosed) return;
    this.#isDestroying = true;
    if (this.#native === undefined) this.#dropParked();
    else this.#native.terminate();
    this.#isDestroying = false;
  }

  pause(): void {
    if (!this.#isClosed) this.#native?.pause();
  }

  resume(): void {
    if (!this.#isClosed) this.#native?.resume();
  }

  park(onWake: () => void): boolean {
    const { descriptor } = this;
    const isBusy = this.#isEnding || this.#isInputEnded || this.#waitingBytes > 0;
    if (descriptor === undefined || isBusy) return false;
    let parked: Parked;
    try {
      parked = parkDescriptor(descriptor);
    } catch {
      // No descriptor is left: it stays where it is.
      return false;
    }
    const native = this.#native;
    this.#native = undefined;
    this.#parked = parked;
    native?.terminate();
    void this.#wake(parked, onWake);
    return true;
  }

  async #wake({ news }: Parked, onWake: () => void): Promise<void> {
    const fd = await news;
    if (fd === undefined) return;
    this.#parked = undefined;
    onWake();
    try {
      const socket = { ...UnixSocket.handlers, open: (native: Native) => this.#adopt(native) };
      await connectDescriptor({ fd, socket, data: this, allowHalfOpen: true });
    } catch (error) {
      this.#onClose(error);
    }
  }

  #adopt(native: Native): void {
    this.#native = native;
    if (this.#isClosed) native.terminate();
  }

  /** Also one that is just coming back. */
  #dropParked(): void {
    this.#parked?.drop();
    this.#parked = undefined;
    this.#onClose(undefined);
  }

  #wait(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
  }

  /** Both sides done: nothing would ever be heard of it again. */
  #endNow(): void {
    if (this.#isInputEnded) this.destroy();
    else this.#native?.shutdown();
  }

  #onDrain(): void {
    while (this.#waitingBytes > 0) {
      const first = this.#waiting[0];
      if (first === undefined) break;
      const written = this.#native?.write(first) ?? -1;
      if (written < 0) return;
      this.#waitingBytes -= written;
      if (written < first.length) {
        this.#waiting[0] = first.subarray(written);
        return;
      }
      this.#waiting.shift();
    }
    if (this.#isEnding) this.#endNow();
    else this.#listeners.drain();
  }

  #onEnd(): void {
    if (this.#isInputEnded) return;
    this.#isInputEnded = true;
    this.#listeners.end();
    if (this.writableFinished) this.destroy();
  }

  #onClose(error: unknown): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // Once our side is closed the runtime tells the other side's end by the close alone.
    if (this.#isEnding && !this.#isDestroying && error === undefined) this.#onEnd();
    this.#waiting = [];
    this.#waitingBytes = 0;
    const { close } = this.#listeners;
    if (this.#isDestroying) queueMicrotask(close);
    else close();
  }

  /** The runtime's events, of a socket whose `data` is one of these. */
  static readonly handlers = {
    data: ({ data: socket }: Native, bytes: Buffer): void => socket.#listeners.data(bytes),
    drain: ({ data: socket }: Native): void => {
      if (socket.#waitingBytes > 0) socket.#onDrain();
    },
    end: ({ data: socket }: Native): void => socket.#onEnd(),
    close: (native: Native, error?: unknown): void => {
      const { data: socket } = native;
      // One that was parked is only let go of.
      if (socket.#native === native) socket.#onClose(error);
    },
    error: ({ data: socket }: Native, error: Error): void => socket.#listeners.error(error),
  };
}
