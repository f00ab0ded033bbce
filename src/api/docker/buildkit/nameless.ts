/**
 * Images that a build made and that nobody asked for: they go when no build is running any more, since another one may
 * have come to the very same image meanwhile. Their layers stay in the cache.
 */
import type { DockerBackend } from "#api/docker/backend.ts";
import { NaruError } from "#lib/errors.ts";

export class NamelessImages {
  readonly #waiting = new Set<string>();
  #running = 0;

  /** To be disposed of when the build has ended. */
  enter(backend: DockerBackend): AsyncDisposable {
    this.#running += 1;
    let isHere = true;
    return {
      [Symbol.asyncDispose]: async () => {
        if (!isHere) return;
        isHere = false;
        this.#running -= 1;
        if (this.#running === 0) await this.#sweep(backend);
      },
    };
  }

  /** The build that is running made it. */
  add(imageId: string): void {
    if (this.#running === 0) throw new NaruError("internal", "an image without a build");
    this.#waiting.add(imageId);
  }

  async #sweep(backend: DockerBackend): Promise<void> {
    for (const imageId of this.#waiting) {
      // Somebody has begun anew: whoever ends last goes on.
      if (this.#running > 0) return;
      this.#waiting.delete(imageId);
      const record = backend.images.find(imageId);
      if (record === undefined) continue;
      if (record.repoTags.length > 0 || record.repoDigests.length > 0) continue;
      const children = backend.images.list({ isAll: true, filters: new Map() });
      if (children.some(({ ParentId }) => ParentId === imageId)) continue;
      await backend.images.remove(imageId, { isForced: false, isParentKept: true });
    }
  }
}
