/**
 * A connection without the runtime, for as long as nothing comes over it: one socket of the runtime's makes it wake
 * every second (see `poll-ring.ts`).
 */
import { closeSync } from "node:fs";
import { duplicate } from "#kernel/libc.ts";
import { pollSet } from "#kernel/poll-set.ts";

export interface Parked {
  /**
   * Resolves with the descriptor, which is the caller's then, when bytes have come or the other side has gone; with
   * undefined after `drop`.
   */
  readonly news: Promise<number | undefined>;
  /** Closes the connection. */
  drop(): void;
}

/** The given descriptor is to be closed afterwards (not shut down). Throws when no descriptor is left. */
export const parkDescriptor = (givenFd: number): Parked => {
  const fd = duplicate(givenFd);
  const stop = new AbortController();
  let coming: Promise<void>;
  try {
    coming = pollSet().wait(fd, { signal: stop.signal });
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  const settle = (): number | undefined => {
    if (!stop.signal.aborted) return fd;
    closeSync(fd);
    return undefined;
  };
  // Where it cannot be waited for any more the runtime does.
  return { news: coming.then(settle, settle), drop: () => stop.abort() };
};
