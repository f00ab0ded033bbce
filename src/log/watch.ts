/** Waits for a log to change. The directory is watched: a rotation replaces the file itself. */
import { basename, dirname } from "node:path";
import { watchKernel } from "#kernel/directory-watch.ts";

export class LogWatcher implements Disposable {
  readonly #watch: Disposable;
  #isDirty = false;
  #isOver = false;
  #wake: (() => void) | undefined;

  /** Begins to watch. Throws when the directory does not exist. */
  constructor(path: string) {
    const prefix = basename(path);
    this.#watch = watchKernel.watchDirectory(dirname(path), (change, name) => {
      // The directory is being removed: there is nothing to wait for any more.
      if (change === "gone") this.end();
      else if (name.startsWith(prefix) || name === "") this.poke();
    });
  }

  /** True once `end` was called. */
  get isOver(): boolean {
    return this.#isOver;
  }

  poke(): void {
    this.#isDirty = true;
    this.#wake?.();
  }

  end(): void {
    this.#isOver = true;
    this.#wake?.();
  }

  /** Resolves at the first change since the last call, or when it is over. */
  async changed(): Promise<void> {
    if (!this.#isDirty && !this.#isOver) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
      this.#wake = undefined;
    }
    this.#isDirty = false;
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
    this.end();
  }
}
