/**
 * Blobs between their file and their row: collection and deletion leave the file alone meanwhile. Held by digest, as
 * often as there are commits of it.
 */
import type { Digest } from "#spec/image/digest.ts";

export class Commits {
  readonly #held = new Map<Digest, number>();

  /** `using` it lets go. */
  hold(digest: Digest): Disposable {
    this.#held.set(digest, (this.#held.get(digest) ?? 0) + 1);
    return {
      [Symbol.dispose]: () => {
        const left = (this.#held.get(digest) ?? 1) - 1;
        if (left === 0) this.#held.delete(digest);
        else this.#held.set(digest, left);
      },
    };
  }

  isHeld(digest: Digest): boolean {
    return this.#held.has(digest);
  }
}
