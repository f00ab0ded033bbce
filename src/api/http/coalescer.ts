/**
 * Gathers small writes of one turn of the event loop into one system call. A burst of lines costs a
 * few writes, a single line is out by the end of the turn, and past the limit the writer waits.
 */
const FLUSH_AT_BYTES = 64 * 1024;

export class Coalescer {
  readonly #write: (bytes: Uint8Array) => Promise<void>;
  #parts: Uint8Array[] = [];
  #sizeBytes = 0;
  #isScheduled = false;
  #inFlight: Promise<void> | undefined;
  #error: unknown;

  constructor(write: (bytes: Uint8Array) => Promise<void>) {
    this.#write = write;
  }

  /** Throws what an earlier write failed with. `bytes` must not change afterwards. */
  async push(bytes: Uint8Array): Promise<void> {
    if (this.#error !== undefined) throw this.#error;
    this.#parts.push(bytes);
    this.#sizeBytes += bytes.length;
    if (this.#sizeBytes >= FLUSH_AT_BYTES) {
      await this.flush();
    } else if (!this.#isScheduled) {
      this.#isScheduled = true;
      setImmediate(() => {
        this.#isScheduled = false;
        // The error is kept for the next push.
        this.flush().catch(() => undefined);
      });
    }
  }

  /** Resolves when everything pushed so far was taken. */
  async flush(): Promise<void> {
    while (this.#inFlight !== undefined) await this.#inFlight;
    if (this.#error !== undefined) throw this.#error;
    const parts = this.#parts;
    if (parts.length === 0) return;
    this.#parts = [];
    this.#sizeBytes = 0;
    const bytes = parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
    const writing = this.#write(bytes)
      .catch((error: unknown) => {
        this.#error = error;
      })
      .finally(() => {
        this.#inFlight = undefined;
      });
    this.#inFlight = writing;
    await writing;
    if (this.#error !== undefined) throw this.#error;
  }
}
