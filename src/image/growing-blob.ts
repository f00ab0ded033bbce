/** What those who follow a download in its file know of it. Runs in the fetch worker. */
import { NaruError } from "#lib/errors.ts";
import type { Digest } from "#spec/image/digest.ts";

/** How much of the growing file may be read. Any number may wait for it. */
export class Growth {
  available = 0;
  isWrong = false;
  #change = Promise.withResolvers<void>();

  set(bytes: number): void {
    // The download began anew: what was unpacked is worth nothing.
    if (bytes < this.available) this.isWrong = true;
    this.available = bytes;
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }

  /** Until there are so many. */
  async reach(bytes: number): Promise<void> {
    while (this.available < bytes && !this.isWrong) await this.#change.promise;
  }
}

/** Throws data_loss where a layer is not what the image says. */
export const checkSum = (found: Digest, diffId: Digest): void => {
  if (found === diffId) return;
  throw new NaruError(
    "data_loss",
    `the layer's content has the sum "${found}", the image says "${diffId}": it is damaged or was changed`,
  );
};
