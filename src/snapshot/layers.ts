/** Committed layers: unpacking, committing, removing. */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { writeFileAtomic } from "#lib/atomic-file.ts";
import { randomHex } from "#lib/clock.ts";
import { NaruError, hasCode } from "#lib/errors.ts";
import type { AppliedLayer } from "#snapshot/apply.ts";
import type { Background } from "#snapshot/background.ts";
import { withDiskErrors } from "#snapshot/disk-error.ts";
import type { FilePart } from "#snapshot/layer-file.ts";
import {
  LAYER_FILE,
  type Layout,
  type StoredLayer,
  formatLayer,
  layerName,
} from "#snapshot/layout.ts";
import { currentBootId } from "#snapshot/scan.ts";
import type { Layer, StagedLayer, UnpackOptions } from "#snapshot/snapshot.ts";
import type { WorkerPool } from "#snapshot/worker-pool.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";

const chainIdOf = (parent: Digest | undefined, diffId: Digest): Digest =>
  parent === undefined ? diffId : digestOf(`${parent} ${diffId}`);

export class Layers {
  readonly #layout: Layout;
  readonly #background: Background;
  readonly #workers: WorkerPool;
  readonly #layers = new Map<Digest, Layer>();
  readonly #unpacking = new Map<Digest, Promise<Layer>>();
  readonly #bootId = currentBootId();

  constructor(
    layout: Layout,
    background: Background,
    workers: WorkerPool,
    found: readonly StoredLayer[],
  ) {
    this.#layout = layout;
    this.#background = background;
    this.#workers = workers;
    for (const { unflushedBootId, ...layer } of found) {
      this.#layers.set(layer.chainId, layer);
      if (unflushedBootId !== undefined) this.#flushLater(layer);
    }
  }

  get(chainId: Digest): Layer | undefined {
    return this.#layers.get(chainId);
  }

  all(): readonly Layer[] {
    return [...this.#layers.values()];
  }

  known(chainId: Digest): Layer {
    const layer = this.#layers.get(chainId);
    if (layer !== undefined) return layer;
    throw new NaruError("not_found", `layer "${chainId}" is not unpacked here`);
  }

  chain(chainId: Digest | undefined): readonly Layer[] {
    const chain: Layer[] = [];
    for (let next = chainId; next !== undefined;) {
      const layer: Layer = this.known(next);
      chain.push(layer);
      next = layer.parent;
    }
    return chain;
  }

  diffPath(chainId: Digest): string {
    return `${this.#directory(chainId)}/diff`;
  }

  /** Lower directories, topmost first, down to one that hides the rest. */
  lowers(chainId: Digest | undefined): readonly string[] {
    const chain = this.chain(chainId);
    const opaque = chain.findIndex((layer) => layer.isOpaque);
    const seen = opaque === -1 ? chain : chain.slice(0, opaque + 1);
    return seen.map((layer) => this.diffPath(layer.chainId));
  }

  async unpack(options: UnpackOptions): Promise<Layer> {
    const { parent, diffId, signal } = options;
    if (diffId === undefined) return await this.#unpack(options, undefined);
    const chainId = chainIdOf(parent, diffId);
    for (;;) {
      const existing = this.#layers.get(chainId);
      if (existing !== undefined) return existing;
      const running = this.#unpacking.get(chainId);
      if (running === undefined) break;
      try {
        return await running;
      } catch (error) {
        // The other caller gave up; this one has not.
        if (!hasCode(error, "canceled") && (error as Error).name !== "AbortError") throw error;
        signal?.throwIfAborted();
      }
    }
    const running = this.#unpack(options, chainId).finally(() => this.#unpacking.delete(chainId));
    this.#unpacking.set(chainId, running);
    return await running;
  }

  adopt({ directory, parent, hasRootEntry, ...diff }: StagedLayer): Layer {
    if (parent !== undefined && !this.#layers.has(parent)) {
      throw new NaruError(
        "failed_precondition",
        `the layer below, "${parent}", is not unpacked; unpack the image's layers from the lowest up`,
      );
    }
    if (!hasRootEntry) this.#inheritRoot(directory, parent);
    return this.commit(parent, diff, (target) => renameSync(directory, target));
  }

  /** `take` moves the layer's files to the path it is given. */
  commit(
    parent: Digest | undefined,
    diff: Pick<Layer, "diffId" | "sizeBytes" | "isOpaque">,
    take: (diffPath: string) => void,
  ): Layer {
    const chainId = chainIdOf(parent, diff.diffId);
    const existing = this.#layers.get(chainId);
    if (existing !== undefined) return existing;
    if (parent !== undefined) this.known(parent);
    const ingest = this.#newIngest();
    try {
      take(`${ingest}/diff`);
      return this.#commitIngest(ingest, { chainId, parent, ...diff });
    } catch (error) {
      this.#background.discard(ingest);
      throw error;
    }
  }

  /** `source` unpacked beside the layer, to compare. Disposing removes it. */
  async unpackBeside(
    chainId: Digest,
    source: FilePart,
    signal?: AbortSignal,
  ): Promise<Disposable & { readonly diffPath: string; replace(): void }> {
    const layer = this.known(chainId);
    const ingest = this.#newIngest();
    const diffPath = `${ingest}/diff`;
    try {
      const job = { kind: "apply", target: diffPath, source, diffId: layer.diffId } as const;
      const applied = await this.#workers.run<"apply">(job, { signal });
      if (!applied.hasRootEntry) this.#inheritRoot(diffPath, layer.parent);
    } catch (error) {
      this.#background.discard(ingest);
      throw error;
    }
    return {
      diffPath,
      // Without its file the layer is none: who finds it so after a death unpacks it again.
      replace: () => {
        const file = `${this.#directory(chainId)}/${LAYER_FILE}`;
        rmSync(file, { force: true });
        if (existsSync(this.diffPath(chainId))) {
          renameSync(this.diffPath(chainId), `${ingest}/old`);
        }
        renameSync(diffPath, this.diffPath(chainId));
        writeFileAtomic(file, formatLayer({ ...layer, unflushedBootId: this.#bootId }));
        this.#flushLater(layer);
      },
      [Symbol.dispose]: () => this.#background.discard(ingest),
    };
  }

  /** The caller has made sure that nothing stands on it. */
  remove(chainId: Digest): void {
    if (!this.#layers.delete(chainId)) return;
    this.#background.discard(this.#directory(chainId));
  }

  #newIngest(): string {
    const ingest = `${this.#layout.ingest}/${randomHex(8)}`;
    withDiskErrors(() => mkdirSync(ingest, { mode: 0o700 }));
    return ingest;
  }

  async #unpack(options: UnpackOptions, chainId: Digest | undefined): Promise<Layer> {
    const { parent, source, diffId, maxBytes, maxEntries, signal } = options;
    const ingest = this.#newIngest();
    try {
      const isFile = "path" in source;
      const applied = await this.#workers.run<"apply">(
        {
          kind: "apply",
          target: `${ingest}/diff`,
          source: isFile ? source : "stdin",
          ...(diffId === undefined ? {} : { diffId }),
          ...(maxBytes === undefined ? {} : { maxBytes }),
          ...(maxEntries === undefined ? {} : { maxEntries }),
        },
        isFile ? { signal } : { stdin: source.stream, signal },
      );
      await this.#waitForParent(parent);
      if (!applied.hasRootEntry) this.#inheritRoot(`${ingest}/diff`, parent);
      const actual = chainId ?? chainIdOf(parent, applied.diffId);
      return this.#commitIngest(ingest, this.#layerOf(actual, parent, applied));
    } catch (error) {
      this.#background.discard(ingest);
      throw error;
    }
  }

  #layerOf(chainId: Digest, parent: Digest | undefined, applied: AppliedLayer): Layer {
    const { diffId, sizeBytes, isOpaque } = applied;
    return { chainId, parent, diffId, sizeBytes, isOpaque };
  }

  async #waitForParent(parent: Digest | undefined): Promise<void> {
    if (parent === undefined || this.#layers.has(parent)) return;
    const running = this.#unpacking.get(parent);
    if (running === undefined) {
      throw new NaruError(
        "failed_precondition",
        `the layer below, "${parent}", is not unpacked; unpack the image's layers from the lowest up`,
      );
    }
    await running;
  }

  /** Overlay shows the topmost layer's root: mode and owner of "/" must not fall back to the default. */
  #inheritRoot(diff: string, parent: Digest | undefined): void {
    if (parent === undefined) return;
    const { mode, uid, gid } = statSync(this.diffPath(parent));
    chownSync(diff, uid, gid);
    chmodSync(diff, mode & 0o7777);
  }

  #commitIngest(ingest: string, layer: Layer): Layer {
    const existing = this.#layers.get(layer.chainId);
    if (existing !== undefined) {
      this.#background.discard(ingest);
      return existing;
    }
    const text = formatLayer({ ...layer, unflushedBootId: this.#bootId });
    withDiskErrors(() => {
      writeFileSync(`${ingest}/${LAYER_FILE}`, text, { mode: 0o600 });
      chmodSync(ingest, 0o711);
      renameSync(ingest, this.#directory(layer.chainId));
    });
    this.#layers.set(layer.chainId, layer);
    this.#flushLater(layer);
    return layer;
  }

  /**
   * The answer does not wait for the disk: until the flush is done the layer is marked with the
   * running kernel's id, and a store opened by another kernel does not trust it.
   */
  #flushLater(layer: Layer): void {
    this.#background.flush(() => {
      if (this.#layers.get(layer.chainId) !== layer) return;
      writeFileAtomic(`${this.#directory(layer.chainId)}/${LAYER_FILE}`, formatLayer(layer));
    });
  }

  #directory(chainId: Digest): string {
    return `${this.#layout.layers}/${layerName(chainId)}`;
  }
}
