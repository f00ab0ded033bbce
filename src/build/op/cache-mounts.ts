/**
 * What `RUN --mount=type=cache` keeps between builds: a directory for each id. "locked" lets one step in
 * at a time; "private" gives a step that comes meanwhile a directory of its own; "shared" lets all in.
 */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import type { BuildCacheItem } from "#build/build.ts";
import { now } from "#lib/clock.ts";
import { writeFileAtomic } from "#lib/atomic-file.ts";
import type { FileKernel } from "#kernel/kernel.ts";
import { treeUsage } from "#snapshot/usage.ts";
import type { CacheSharing } from "#spec/dockerfile/dockerfile.ts";
import { digestOf, hexOf } from "#spec/image/digest.ts";

interface Note {
  readonly id: string;
  readonly createdAt: string;
  readonly lastUsedAt: string;
  readonly useCount: number;
}

/** A directory to be bound; disposing gives it back. */
export interface CacheMount extends Disposable {
  readonly path: string;
  /** Nothing was ever in it. */
  readonly isNew: boolean;
}

export class CacheMounts {
  readonly #root: string;
  readonly #kernel: FileKernel;
  readonly #users = new Map<string, number>();
  readonly #locks = new Map<string, Promise<void>>();

  constructor(root: string, kernel: FileKernel) {
    this.#root = root;
    this.#kernel = kernel;
    mkdirSync(root, { recursive: true, mode: 0o700 });
  }

  /** `begun`: what it begins with, where that is not an empty directory of root's; another beginning is another cache. */
  async acquire(
    id: string,
    sharing: CacheSharing,
    signal: AbortSignal,
    begun = "",
  ): Promise<CacheMount> {
    const known = begun === "" ? id : `${id}\n${begun}`;
    const name = hexOf(digestOf(known)).slice(0, 32);
    if (sharing === "locked") return await this.#locked(name, id, signal);
    if (sharing === "shared") return this.#open(name, id);
    for (let index = 0; ; index++) {
      const own = index === 0 ? name : `${name}-${index}`;
      if (!this.#users.has(own)) return this.#open(own, id);
    }
  }

  async #locked(name: string, id: string, signal: AbortSignal): Promise<CacheMount> {
    for (let before = this.#locks.get(name); before !== undefined;) {
      const aborted = Promise.withResolvers<never>();
      const abort = (): void => aborted.reject(signal.reason as Error);
      signal.addEventListener("abort", abort, { once: true });
      try {
        signal.throwIfAborted();
        await Promise.race([before, aborted.promise]);
      } finally {
        signal.removeEventListener("abort", abort);
      }
      before = this.#locks.get(name);
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#locks.set(name, promise);
    const mount = this.#open(name, id);
    const dispose = (): void => {
      mount[Symbol.dispose]();
      this.#locks.delete(name);
      resolve();
    };
    return { ...mount, [Symbol.dispose]: dispose };
  }

  #open(name: string, id: string): CacheMount {
    const directory = `${this.#root}/${name}`;
    const path = `${directory}/data`;
    const isNew = !existsSync(path);
    if (isNew) mkdirSync(path, { recursive: true, mode: 0o755 });
    this.#users.set(name, (this.#users.get(name) ?? 0) + 1);
    const at = now();
    const note = this.#note(name) ?? { id, createdAt: at, lastUsedAt: at, useCount: 0 };
    writeFileAtomic(
      `${directory}/note.json`,
      JSON.stringify({ ...note, lastUsedAt: at, useCount: note.useCount + 1 }),
    );
    const dispose = (): void => {
      const left = (this.#users.get(name) ?? 1) - 1;
      if (left > 0) this.#users.set(name, left);
      else this.#users.delete(name);
    };
    return { path, isNew, [Symbol.dispose]: dispose };
  }

  #note(name: string): Note | undefined {
    try {
      return JSON.parse(readFileSync(`${this.#root}/${name}/note.json`, "utf8")) as Note;
    } catch {
      return undefined; // Half-made by a killed daemon: used as it is, noted anew.
    }
  }

  async list(signal?: AbortSignal): Promise<BuildCacheItem[]> {
    const items: BuildCacheItem[] = [];
    for (const name of readdirSync(this.#root)) {
      const path = `${this.#root}/${name}/data`;
      if (!existsSync(path) || !statSync(path).isDirectory()) continue;
      const note = this.#note(name);
      const { sizeBytes } = await treeUsage(this.#kernel, path, signal);
      items.push({
        id: name,
        parent: "",
        kind: "exec.cachemount",
        description: `cached mount ${note?.id ?? name}`,
        isInUse: this.#users.has(name),
        isShared: false,
        sizeBytes,
        createdAt: note?.createdAt ?? now(),
        lastUsedAt: note?.lastUsedAt ?? now(),
        useCount: note?.useCount ?? 0,
      });
    }
    return items;
  }

  /** False while a step uses it. */
  remove(name: string): boolean {
    if (this.#users.has(name) || !/^[0-9a-f-]+$/.test(name)) return false;
    rmSync(`${this.#root}/${name}`, { recursive: true, force: true });
    return true;
  }
}
