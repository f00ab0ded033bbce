/**
 * Descriptors of directories inside one root, by path. A path is resolved by the kernel with the root
 * as "/" (openat2 RESOLVE_IN_ROOT), so that symlinks on the way, planted or honest, stay inside; what
 * is made afterwards is made relative to the descriptor, which nothing can move out of the root.
 */
import { constants } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import type { FileKernel } from "#kernel/kernel.ts";

const O_PATH = 0o10000000;
const DIRECTORY = constants.O_DIRECTORY | O_PATH;
const CAPACITY = 128;

export const errnoOf = (error: unknown): string | undefined => {
  const errno: unknown = error instanceof NaruError ? error.details["errno"] : undefined;
  return typeof errno === "string" ? errno : undefined;
};

/** "a/b/c" → ["a/b", "c"]. */
export const splitPath = (path: string): readonly [parent: string, name: string] => {
  const slash = path.lastIndexOf("/");
  return slash === -1 ? ["", path] : [path.slice(0, slash), path.slice(slash + 1)];
};

export interface DirectoryHooks {
  /** Hears of every missing directory before it is made. */
  onCreate(path: string): void;
  /** Something that is no directory stands there. True: it was replaced by a directory. */
  replace(parentFd: number, name: string): boolean;
}

export class DirectoryCache implements Disposable {
  readonly #kernel: FileKernel;
  readonly #rootFd: number;
  readonly #fds = new Map<string, number>();
  readonly #hooks: DirectoryHooks;

  /** `rootFd` stays the caller's. */
  constructor(kernel: FileKernel, rootFd: number, hooks: DirectoryHooks) {
    this.#kernel = kernel;
    this.#rootFd = rootFd;
    this.#hooks = hooks;
  }

  /**
   * The descriptor of directory `path` (relative, "" is the root), made with mode 0755 where it is
   * missing. Valid until the next call of this cache. Throws invalid_argument when something that is
   * no directory stands in the way.
   */
  get(path: string): number {
    if (path === "") return this.#rootFd;
    const cached = this.#fds.get(path);
    if (cached !== undefined) {
      this.#fds.delete(path);
      this.#fds.set(path, cached);
      return cached;
    }
    const fd = this.#open(path) ?? this.#create(path);
    if (this.#fds.size >= CAPACITY) this.#closeOldest();
    this.#fds.set(path, fd);
    return fd;
  }

  /** After something was removed or replaced by another kind of file: nothing known holds any more. */
  clear(): void {
    for (const fd of this.#fds.values()) this.#kernel.close(fd);
    this.#fds.clear();
  }

  [Symbol.dispose](): void {
    this.clear();
  }

  #open(path: string): number | undefined {
    try {
      return this.#kernel.openInRoot(this.#rootFd, path, DIRECTORY);
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === "ENOENT" || errno === "ENOTDIR") return undefined;
      throw errno === "ELOOP" ? this.#blocked(path, error) : error;
    }
  }

  #create(path: string): number {
    const [parent, name] = splitPath(path);
    const parentFd = this.get(parent);
    this.#hooks.onCreate(path);
    try {
      this.#kernel.mkdirAt(parentFd, name, 0o755);
    } catch (error) {
      // Nothing opens there and yet there is something: no directory, or a symlink to none.
      if (errnoOf(error) !== "EEXIST") throw error;
      if (!this.#hooks.replace(parentFd, name)) {
        const raced = this.#open(path);
        if (raced !== undefined) return raced;
        throw this.#blocked(path, error);
      }
    }
    return this.#kernel.openAt(parentFd, name, DIRECTORY);
  }

  #closeOldest(): void {
    const [path, fd] = this.#fds.entries().next().value ?? [];
    if (path === undefined || fd === undefined) return;
    this.#fds.delete(path);
    this.#kernel.close(fd);
  }

  #blocked(path: string, cause: unknown): NaruError {
    return new NaruError(
      "invalid_argument",
      `"${path}" is not a directory, so nothing can be unpacked into it`,
      { cause },
    );
  }
}
