/**
 * The contexts that one data root keeps between builds, by key: few, each a build's alone while it runs, and none
 * that is too large. A tree without a list beside it is of no use any more: `sweepKept` removes it.
 */
import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import type { BuildCacheItem } from "#build/build.ts";
import { makeContextRoot } from "#build/context-root.ts";
import { GONE, discardTree, goneBeside } from "#build/discard-tree.ts";
import { ContextTree } from "#build/kept-context.ts";
import { treeUsage } from "#snapshot/usage.ts";
import type { FileKernel } from "#kernel/kernel.ts";
import { formatInstant } from "#lib/clock.ts";

/** Trees that are kept; the least recently used go. */
const KEPT_MAX = 8;
/** As clients show ids. */
const ID_LENGTH = 25;

const instantOf = (ms: number): string => formatInstant(BigInt(Math.trunc(ms)) * 1_000_000n);

/** A tree of a key, a build's alone until it is disposed of. */
export interface KeptTree extends Disposable {
  readonly root: string;
  /** Where kept-files.ts keeps its list. */
  readonly listPath: string;
  /** It is not kept after all. */
  forget(): void;
}

/** Keys; not what is being deleted. */
const namesIn = (directory: string): string[] => {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return readdirSync(directory).filter((name) => !name.endsWith(".json") && !name.startsWith(GONE));
};

/** Removes what a killed daemon left half-made. */
export const sweepKept = (directory: string): void => {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(directory)) {
    if (name.endsWith(".json")) continue;
    const list = statSync(`${directory}/${name}.json`, { throwIfNoEntry: false });
    if (list === undefined) rmSync(`${directory}/${name}`, { recursive: true, force: true });
  }
};

export class KeptContexts {
  readonly #directory: string;
  readonly #kernel: FileKernel;
  readonly #busy = new Set<string>();
  /** Trees whose build is over and whose list is still being written. */
  readonly #closing = new Map<string, Promise<void>>();

  constructor(directory: string, kernel: FileKernel) {
    this.#directory = directory;
    this.#kernel = kernel;
  }

  /** undefined while another build has the tree of that key. `key` is a digest in hex. */
  async open(key: string, onChange?: () => void): Promise<ContextTree | undefined> {
    await this.#closing.get(key);
    const tree = this.reserve(key);
    if (tree === undefined) return undefined;
    const { root, listPath } = tree;
    const dispose = (): void => tree[Symbol.dispose]();
    const forget = (): void => tree.forget();
    try {
      const kernel = this.#kernel;
      const onClosing = (closed: Promise<void>): void => {
        this.#closing.set(key, closed);
        void closed.then(() => this.#closing.delete(key));
      };
      const change = onChange === undefined ? {} : { onChange };
      const place = { root, listPath, kernel, dispose, forget, onClosing, ...change };
      return await ContextTree.open(place);
    } catch (error) {
      dispose();
      throw error;
    }
  }

  /** As `open`, for whoever reads and writes the list by itself. */
  reserve(key: string): KeptTree | undefined {
    if (this.#busy.has(key)) return undefined;
    this.#removeOld(key);
    const root = `${this.#directory}/${key}`;
    makeContextRoot(root);
    this.#busy.add(key);
    return {
      root,
      listPath: `${root}.json`,
      forget: () => this.#discard(key),
      [Symbol.dispose]: () => this.#busy.delete(key),
    };
  }

  /** As records of the cache. Counts the trees' files in small steps. */
  async list(signal?: AbortSignal): Promise<BuildCacheItem[]> {
    await Promise.all(this.#closing.values());
    const items: BuildCacheItem[] = [];
    for (const name of namesIn(this.#directory)) {
      const list = statSync(`${this.#directory}/${name}.json`, { throwIfNoEntry: false });
      const { birthtimeMs } = statSync(`${this.#directory}/${name}`);
      const { sizeBytes } = await treeUsage(this.#kernel, `${this.#directory}/${name}`, signal);
      items.push({
        id: name.slice(0, ID_LENGTH),
        parent: "",
        kind: "source.local",
        description: "local source of a build's context",
        isInUse: this.#busy.has(name),
        isShared: false,
        sizeBytes,
        createdAt: instantOf(birthtimeMs),
        lastUsedAt: instantOf(list?.mtimeMs ?? birthtimeMs),
        useCount: 1,
      });
    }
    return items;
  }

  /** `id` as `list` has it. False while a build has the tree. */
  remove(id: string): boolean {
    const name = namesIn(this.#directory).find((one) => one.slice(0, ID_LENGTH) === id);
    if (name === undefined || this.#busy.has(name)) return false;
    this.#discard(name);
    return true;
  }

  #removeOld(wanted: string): void {
    const others = namesIn(this.#directory).filter((name) => name !== wanted);
    if (others.length < KEPT_MAX) return;
    const byUse = others
      .filter((name) => !this.#busy.has(name))
      .map((name) => {
        const stat = statSync(`${this.#directory}/${name}.json`, { throwIfNoEntry: false });
        return { name, usedMs: stat?.mtimeMs ?? 0 };
      })
      .toSorted((a, b) => a.usedMs - b.usedMs);
    for (const { name } of byUse.slice(0, others.length - KEPT_MAX + 1)) this.#discard(name);
  }

  #discard(name: string): void {
    rmSync(`${this.#directory}/${name}.json`, { force: true });
    const gone = goneBeside(`${this.#directory}/${name}`);
    renameSync(`${this.#directory}/${name}`, gone);
    discardTree(gone);
  }
}
