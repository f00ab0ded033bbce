/**
 * Ready-made sandboxes. Taking one costs nothing while the pool keeps up; it is refilled one at a time
 * between other work, to a size that follows how fast sandboxes are taken. Each is handed out once: a
 * used namespace keeps settings of its container and is never taken back.
 */
import { monotonicMs } from "#lib/clock.ts";

export interface SandboxPoolOptions<T> {
  /** Makes one; short and synchronous. */
  readonly make: () => T;
  readonly discard: (item: T) => void;
  /** Refilling failed; it is tried again after the next `take`. */
  readonly onError: (error: unknown) => void;
  readonly min?: number;
  readonly max?: number;
}

/** How far back takes count for the size, and how long a big pool stays after them. */
const WINDOW_MS = 5000;
const SHRINK_AFTER_MS = 10_000;
/** Lets whatever the taker does next come first; the start that it is part of, as long as others are ready. */
const REFILL_DELAY_MS = 2;
const REFILL_SPARE_DELAY_MS = 20;

export class SandboxPool<T> {
  readonly #options: SandboxPoolOptions<T>;
  readonly #min: number;
  readonly #max: number;
  readonly #ready: T[] = [];
  #takes: number[] = [];
  #refill: NodeJS.Timeout | undefined;
  #shrink: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: SandboxPoolOptions<T>) {
    this.#options = options;
    this.#min = options.min ?? 2;
    this.#max = options.max ?? 64;
  }

  get size(): number {
    return this.#ready.length;
  }

  /** Begins to fill. */
  open(): void {
    this.#isClosed = false;
    this.#refillIn(0);
  }

  take(): T {
    const now = monotonicMs();
    this.#takes = this.#takes.filter((at) => now - at < WINDOW_MS);
    this.#takes.push(now);
    const item = this.#ready.shift() ?? this.#options.make();
    this.#refillIn(this.#ready.length > 0 ? REFILL_SPARE_DELAY_MS : REFILL_DELAY_MS);
    return item;
  }

  /** Discards what is ready. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#refill);
    clearTimeout(this.#shrink);
    this.#refill = undefined;
    for (const item of this.#ready.splice(0)) this.#options.discard(item);
  }

  /** As many as were taken in the last seconds, within the bounds. */
  #target(): number {
    const now = monotonicMs();
    const recent = this.#takes.filter((at) => now - at < WINDOW_MS).length;
    return Math.min(this.#max, Math.max(this.#min, recent));
  }

  #refillIn(delayMs: number): void {
    if (this.#isClosed) return;
    // A pool alone keeps no process alive.
    this.#refill ??= setTimeout(() => this.#addOne(), delayMs).unref();
  }

  #addOne(): void {
    this.#refill = undefined;
    if (this.#ready.length < this.#target()) {
      try {
        this.#ready.push(this.#options.make());
      } catch (error) {
        return this.#options.onError(error);
      }
      return this.#refillIn(1);
    }
    clearTimeout(this.#shrink);
    this.#shrink = setTimeout(() => this.#discardSpare(), SHRINK_AFTER_MS).unref();
  }

  #discardSpare(): void {
    const spare = this.#ready.splice(this.#target());
    for (const item of spare) this.#options.discard(item);
  }
}
