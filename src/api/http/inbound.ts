/**
 * Bytes on their way from a socket to whoever reads a body or a hijacked connection. Past the high
 * mark the socket is paused, so that a slow reader slows its client and memory stays bounded.
 */
const HIGH_MARK_BYTES = 256 * 1024;
const LOW_MARK_BYTES = 64 * 1024;

export interface Flow {
  pause(): void;
  resume(): void;
}

export class Inbound implements AsyncIterable<Buffer> {
  readonly #flow: Flow;
  #parts: Buffer[] = [];
  #sizeBytes = 0;
  #isPaused = false;
  #isEnded = false;
  #isDropped = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(flow: Flow) {
    this.#flow = flow;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  push(part: Buffer): void {
    if (this.#isDropped || this.#isEnded || part.length === 0) return;
    this.#parts.push(part);
    this.#sizeBytes += part.length;
    if (this.#sizeBytes > HIGH_MARK_BYTES && !this.#isPaused) {
      this.#isPaused = true;
      this.#flow.pause();
    }
    this.#wake?.();
  }

  /** No more will come; `error` when that is too early. What is queued is still delivered. */
  end(error?: Error): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#error = error;
    this.#wake?.();
  }

  /** Nobody reads any more: what is queued and what comes is thrown away. */
  drop(): void {
    this.#isDropped = true;
    this.#parts = [];
    this.#sizeBytes = 0;
    this.#resume();
    this.#wake?.();
  }

  /** What is queued. */
  takeQueued(): readonly Buffer[] {
    const parts = this.#parts;
    this.#parts = [];
    this.#sizeBytes = 0;
    this.#resume();
    return parts;
  }

  /** Next part, or undefined at the end. */
  async next(): Promise<Buffer | undefined> {
    for (;;) {
      const part = this.#parts.shift();
      if (part !== undefined) {
        this.#sizeBytes -= part.length;
        if (this.#sizeBytes < LOW_MARK_BYTES) this.#resume();
        return part;
      }
      if (this.#isDropped) return undefined;
      if (this.#isEnded) {
        if (this.#error !== undefined) throw this.#error;
        return undefined;
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
      this.#wake = undefined;
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void> {
    for (;;) {
      const part = await this.next();
      if (part === undefined) return;
      yield part;
    }
  }

  #resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#flow.resume();
  }
}
