/**
 * Work that several callers wait for at once, by key. It is stopped when the last of them has gone, and what
 * it holds is given back then, so that who comes while another still uses the result shares it.
 */
export interface SharedJob<T, E> {
  /** Settles as the work does, or rejects with the reason of the caller's own signal. */
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

/** Rejects with the signal's reason as soon as it is aborted, whatever becomes of `work`. */
const whileWanted = <T>(work: Promise<T>, signal: AbortSignal): Promise<T> => {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const leave = (): void =>
    reject(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
  if (signal.aborted) leave();
  signal.addEventListener("abort", leave, { once: true });
  work.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
  // Who lets go before it settles does not have to hear of it.
  promise.catch(() => undefined);
  return promise;
};

export class SharedWork<T, E> {
  readonly #entries = new Map<string, Entry<T, E>>();
  readonly #release: (result: T) => Promise<void>;

  /** `release` is called once for each result, when nobody holds it any more. */
  constructor(release: (result: T) => Promise<void>) {
    this.#release = release;
  }

  /** `await using` it: the work goes on, or its result stays, until everybody has let go. `signal`: this caller's wait. */
  join(key: string, work: Work<T, E>, signal: AbortSignal): SharedJob<T, E> & AsyncDisposable {
    const entry = this.#entries.get(key) ?? this.#start(key, work);
    entry.holders += 1;
    const own = new Set<(event: E) => void>();
    let isHeld = true;
    return {
      result: whileWanted(entry.result, signal),
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
