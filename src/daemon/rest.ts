/**
 * After much work the engine clears up at once. Left alone, the runtime's collector and allocator come back every
 * second for half a minute: the engine would use more processor time idle than busy clients notice.
 */
import { monotonicMs } from "#lib/clock.ts";

/** No request for so long: whoever works is done, or thinks. */
const QUIET_MS = 3000;
/** Fewer requests leave less than a collection costs. */
const MUCH_REQUESTS = 100;

export interface Rest extends Disposable {
  /** A request has come. Costs next to nothing. */
  readonly onRequest: () => void;
}

/** `clear` is called when nobody has asked for anything for `quietMs`, and much had been asked before. */
export const restWhenQuiet = (clear: () => void, quietMs = QUIET_MS): Rest => {
  let requestCount = 0;
  let lastMs = 0;
  let timer: NodeJS.Timeout | undefined;
  const look = (): void => {
    const leftMs = lastMs + quietMs - monotonicMs();
    if (leftMs > 0) {
      timer = setTimeout(look, leftMs).unref();
      return;
    }
    timer = undefined;
    if (requestCount < MUCH_REQUESTS) return;
    requestCount = 0;
    clear();
  };
  return {
    onRequest: () => {
      requestCount += 1;
      lastMs = monotonicMs();
      timer ??= setTimeout(look, quietMs).unref();
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  };
};
