/**
 * Work that several callers wait for at once, by key. It is stopped when the last of them has gone, and what
 * it holds is given back then, so that who comes while another still uses the result shares it.
 */
export interface SharedJob<T, E> {
  /** Settles as the work does. */
  readonly result: Promise<T>;
  /** Events from now on; the newest one at once. */
  follow(listener: (event: E) => void): void;
}

interface Entry<T, E> {
  readonly result: Promise<T>;
  readonly stop: AbortController;
  readonly listeners: Set<(event: E) => void>;
  readonly shown: { last: E | undefined };
  holders: number;
}

export type Work<T, E> = (signal: AbortSignal, tell: (event: E) => void) => Promise<T>;

export class SharedWork<T, E> {
  readonly #entries = new Map<string, Entry<T, E>>();
  readonly #release: (result: T) => Promise<void>;

  /** `release` is called once for each result, when nobody holds it any more. */
  constructor(release: (result: T) => Promise<void>) {
    this.#release = release;
  }

  /** `await using` it: the work goes on, or its result stays, until everybody has let go. */
  join(key: string, work: Work<T, E>): SharedJob<T, E> & AsyncDisposable {
    const entry = this.#entries.get(key) ?? this.#start(key, work);
    entry.holders += 1;
    const own = new Set<(event: E) => void>();
    let isHeld = true;
    return {
      result: entry.result,
      follow: (listener) => {
        own.add(listener);
        entry.listeners.add(listener);
        if (entry.shown.last !== undefined) listener(entry.shown.last);
      },
      [Symbol.asyncDispose]: async () => {
        if (!isHeld) return;
        isHeld = false;
        for (const listener of own) entry.listeners.delete(listener);
        entry.holders -= 1;
        if (entry.holders === 0) await this.#end(key, entry);
      },
    };
  }

  #start(key: string, work: Work<T, E>): Entry<T, E> {
    const stop = new AbortController();
    const listeners = new Set<(event: E) => void>();
    const shown: { last: E | undefined } = { last: undefined };
    const result = work(stop.signal, (event) => {
      shown.last = event;
      for (const listener of listeners) listener(event);
    });
    const entry: Entry<T, E> = { stop, listeners, shown, holders: 0, result };
    this.#entries.set(key, entry);
    // Who comes after a failure tries anew; those who wait are told by `result`.
    entry.result.catch(() => this.#forget(key, entry));
    return entry;
  }

  #forget(key: string, entry: Entry<T, E>): void {
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
  }

  async #end(key: string, entry: Entry<T, E>): Promise<void> {
    this.#forget(key, entry);
    entry.stop.abort();
    const result = await entry.result.then(
      (value) => ({ value }),
      () => undefined,
    );
    if (result !== undefined) await this.#release(result.value);
  }
}
