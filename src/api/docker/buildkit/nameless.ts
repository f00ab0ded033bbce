/**
 * Images that a build made and that nobody asked for: they go when no build is running any more, since another one may
 * have come to the very same image meanwhile, and want it. Their layers stay in the cache.
 */
import type { DockerBackend } from "#api/docker/backend.ts";
import { NaruError } from "#lib/errors.ts";

type Backend = Pick<DockerBackend, "images" | "logger">;

export class NamelessImages {
  readonly #waiting = new Set<string>();
  readonly #wanted = new Set<string>();
  #running = 0;

  /** To be disposed of when the build has ended. What cannot be removed stays: no build fails by it. */
  enter(backend: Backend): AsyncDisposable {
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

  /** The build that is running was asked for it, also without a name. */
  keep(imageId: string): void {
    this.#wanted.add(imageId);
  }

  async #sweep(backend: Backend): Promise<void> {
    for (const imageId of this.#waiting) {
      // Somebody has begun anew: whoever ends last goes on.
      if (this.#running > 0) return;
      this.#waiting.delete(imageId);
      if (this.#wanted.has(imageId)) continue;
      try {
        await removeNameless(backend, imageId);
      } catch (error) {
        // A container may have been made of it meanwhile.
        backend.logger.warn("an image that nobody asked for stays", { imageId, error });
      }
    }
    if (this.#running === 0) this.#wanted.clear();
  }
}

const removeNameless = async ({ images }: Backend, imageId: string): Promise<void> => {
  const record = images.find(imageId);
  if (record === undefined) return;
  if (record.repoTags.length > 0 || record.repoDigests.length > 0) return;
  const children = images.list({ isAll: true, filters: new Map() });
  if (children.some(({ ParentId }) => ParentId === imageId)) return;
  await images.remove(imageId, { isForced: false, isParentKept: true });
};
