/**
 * Fans values out to subscribers. A subscriber that falls more than `limit` values behind is cut
 * off (its iterator throws `resource_exhausted`) rather than waited for or buffered without bound.
 */
import { NaruError } from "#lib/errors.ts";

interface Subscriber<T> {
  readonly queue: T[];
  wake: (() => void) | undefined;
  isCutOff: boolean;
}

export class Broadcaster<T> {
  readonly #subscribers = new Set<Subscriber<T>>();
  readonly #limit: number;

  constructor(limit = 4096) {
    this.#limit = limit;
  }

  get subscriberCount(): number {
    return this.#subscribers.size;
  }

  publish(value: T): void {
    for (const subscriber of this.#subscribers) {
      if (subscriber.queue.length >= this.#limit) {
        subscriber.isCutOff = true;
        this.#subscribers.delete(subscriber);
      } else {
        subscriber.queue.push(value);
      }
      subscriber.wake?.();
    }
  }

  /** Subscribed from the moment of the call, not of the first `next`. Ends when `signal` aborts. */
  subscribe(signal: AbortSignal): AsyncIterableIterator<T> {
    const subscriber: Subscriber<T> = { queue: [], wake: undefined, isCutOff: false };
    this.#subscribers.add(subscriber);
    signal.addEventListener("abort", () => subscriber.wake?.(), { once: true });
    return this.#drain(subscriber, signal);
  }

  async *#drain(subscriber: Subscriber<T>, signal: AbortSignal): AsyncGenerator<T, void> {
    try {
      while (!signal.aborted) {
        const value = subscriber.queue.shift();
        if (value !== undefined) {
          yield value;
          continue;
        }
        if (subscriber.isCutOff) {
          throw new NaruError("resource_exhausted", "the watcher was too slow and was cut off");
        }
        const { promise, resolve } = Promise.withResolvers<void>();
        subscriber.wake = resolve;
        await promise;
        subscriber.wake = undefined;
      }
    } finally {
      this.#subscribers.delete(subscriber);
    }
  }
}
