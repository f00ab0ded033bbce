/** The directory that a walk is in, opened once for all that stands there. */
import type { FileKernel } from "#kernel/kernel.ts";
import { DIRECTORY_FLAGS } from "#snapshot/tree-walk.ts";

/** Owns the one descriptor that is open; `rootFd` stays the caller's. */
export class CurrentDirectory implements Disposable {
  readonly #kernel: FileKernel;
  readonly #rootFd: number;
  #path: string | undefined;
  #fd = -1;

  constructor(kernel: FileKernel, rootFd: number) {
    this.#kernel = kernel;
    this.#rootFd = rootFd;
  }

  /** Of the directory at `path`, relative to the root; valid until the next call. */
  open(path: string): number {
    if (path === this.#path) return this.#fd;
    this[Symbol.dispose]();
    this.#fd = this.#kernel.openInRoot(this.#rootFd, path, DIRECTORY_FLAGS);
    this.#path = path;
    return this.#fd;
  }

  [Symbol.dispose](): void {
    if (this.#fd !== -1) this.#kernel.close(this.#fd);
    this.#fd = -1;
    this.#path = undefined;
  }
}
