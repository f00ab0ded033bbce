/**
 * How long a client may be slow. Only time spent waiting for the client counts, so a slow disk of our own is
 * not held against it. Who sends or takes nothing for `idleMs`, or less than `minBytesPerSecond` over
 * `windowMs` of waiting, is cut off.
 */
import { monotonicMs } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";

export interface Patience {
  readonly idleMs: number;
  readonly windowMs: number;
  readonly minBytesPerSecond: number;
}

export const DEFAULT_PATIENCE: Patience = {
  idleMs: 60_000,
  windowMs: 30_000,
  minBytesPerSecond: 1024,
};

const tooSlow = (): NaruError =>
  new NaruError(
    "deadline_exceeded",
    "the client was too slow: the connection was given to others",
    {
      details: { status: 408 },
    },
  );

/** Settles as `promise` does, or throws deadline_exceeded first. */
const within = async <T>(promise: Promise<T>, ms: number): Promise<T> => {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(tooSlow()), ms);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
};

/** Counts one transfer's waiting against its bytes. */
export class Pace {
  readonly #patience: Patience;
  #waitedMs = 0;
  #bytes = 0;

  constructor(patience: Patience) {
    this.#patience = patience;
  }

  async wait<T>(promise: Promise<T>): Promise<T> {
    const began = monotonicMs();
    const result = await within(promise, this.#patience.idleMs);
    this.#waitedMs += monotonicMs() - began;
    return result;
  }

  /** Throws deadline_exceeded when too little came in the time waited. */
  moved(sizeBytes: number): void {
    this.#bytes += sizeBytes;
    const { windowMs, minBytesPerSecond } = this.#patience;
    if (this.#waitedMs < windowMs) return;
    if (this.#bytes * 1000 < minBytesPerSecond * this.#waitedMs) throw tooSlow();
    this.#waitedMs = 0;
    this.#bytes = 0;
  }
}

/** A request's body at the client's pace, within patience. */
export async function* paced(
  source: AsyncIterable<Buffer>,
  patience: Patience,
): AsyncGenerator<Buffer, void> {
  const pace = new Pace(patience);
  const iterator = source[Symbol.asyncIterator]();
  for (;;) {
    const step = await pace.wait(iterator.next());
    if (step.done === true) return;
    pace.moved(step.value.length);
    yield step.value;
  }
}
