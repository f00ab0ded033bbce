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
import type { Background } from "#snapshot/background.ts";
import { withDiskErrors } from "#snapshot/disk-error.ts";
import type { FilePart } from "#snapshot/layer-file.ts";
import {
  INDEX_FILE,
  type LayerForm,
  type RootAttributes,
  TAR_FILE,
  identifyIndex,
} from "#snapshot/layer-form.ts";
import type { LayerMounts } from "#snapshot/layer-mounts.ts";
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

/** What moves into a layer's directory, and what is written there of it. */
export interface NewLayer extends Pick<Layer, "diffId" | "sizeBytes" | "isOpaque" | "form"> {
  readonly hasRootEntry: boolean;
  readonly root?: RootAttributes;
}

/** The lower part of an overlay, for the mount calls of this process. */
export interface Stack {
  readonly lowers: readonly string[];
  readonly isMixed: boolean;
}

export interface LayersOptions {
  readonly layout: Layout;
  readonly background: Background;
  readonly workers: WorkerPool;
  readonly mounts: LayerMounts;
  readonly found: readonly StoredLayer[];
  /** The form of what is unpacked from now on. */
  readonly newForm: () => LayerForm;
}

const publicPart = ({ root: _root, unflushedBootId: _boot, ...layer }: StoredLayer): Layer => layer;

export class Layers {
  readonly #layout: Layout;
  readonly #mounts: LayerMounts;
  readonly #newForm: () => LayerForm;
  readonly #background: Background;
  readonly #workers: WorkerPool;
  readonly #layers = new Map<Digest, StoredLayer>();
  readonly #unpacking = new Map<Digest, Promise<Layer>>();
  readonly #bootId = currentBootId();

  constructor(options: LayersOptions) {
    this.#layout = options.layout;
    this.#background = options.background;
    this.#workers = options.workers;
    this.#mounts = options.mounts;
    this.#newForm = options.newForm;
    for (const { unflushedBootId, ...layer } of options.found) {
      this.#layers.set(layer.chainId, layer);
      if (unflushedBootId !== undefined) this.#flushLater(layer);
    }
  }

  get(chainId: Digest): Layer | undefined {
    const layer = this.#layers.get(chainId);
    return layer === undefined ? undefined : publicPart(layer);
  }

  all(): readonly Layer[] {
    return [...this.#layers.values()].map(publicPart);
  }

  known(chainId: Digest): Layer {
    return publicPart(this.stored(chainId));
  }

  stored(chainId: Digest): StoredLayer {
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

  /** Where its files are. */
  path(chainId: Digest): string {
    const directory = this.directory(chainId);
    return this.stored(chainId).form === "erofs" ? directory : `${directory}/diff`;
  }

  /** Layers that are seen, topmost first: down to one that hides the rest. */
  #seen(chainId: Digest | undefined): readonly Layer[] {
    const chain = this.chain(chainId);
    const opaque = chain.findIndex((layer) => layer.isOpaque);
    return opaque === -1 ? chain : chain.slice(0, opaque + 1);
  }

  lowers(chainId: Digest | undefined): readonly string[] {
    return this.#seen(chainId).map((layer) => this.path(layer.chainId));
  }

  /** Mounts what has to be mounted. */
  stack(chainId: Digest | undefined): Stack {
    const seen = this.#seen(chainId);
    return {
      lowers: seen.map((layer) =>
        layer.form === "erofs"
          ? this.#mounts.path(this.directory(layer.chainId))
          : this.path(layer.chainId),
      ),
      isMixed: seen.some(({ form }) => form === "erofs"),
    };
  }

  rootOf(chainId: Digest): RootAttributes {
    const { root } = this.stored(chainId);
    if (root !== undefined) return root;
    const { mode, uid, gid } = statSync(this.path(chainId));
    return { mode: mode & 0o7777, uid, gid };
  }

  bytes(): number {
    let total = 0;
    for (const { chainId, form, sizeBytes } of this.#layers.values()) {
      total += form === "erofs" ? indexedBytes(this.directory(chainId)) : sizeBytes;
    }
    return total;
  }

  async unpack(options: UnpackOptions): Promise<Layer> {
    const { parent, diffId, signal } = options;
    if (diffId === undefined) return await this.#unpack(options);
    const chainId = chainIdOf(parent, diffId);
    for (;;) {
      const existing = this.get(chainId);
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
    const running = this.#unpack(options).finally(() => this.#unpacking.delete(chainId));
    this.#unpacking.set(chainId, running);
    return await running;
  }

  adopt({ directory, parent, ...staged }: StagedLayer): Layer {
    if (parent !== undefined && !this.#layers.has(parent)) {
      throw new NaruError(
        "failed_precondition",
        `the layer below, "${parent}", is not unpacked; unpack the image's layers from the lowest up`,
      );
    }
    return this.commit(parent, staged, (ingest) => {
      if (staged.form === "directory") return renameSync(directory, `${ingest}/diff`);
      for (const name of [TAR_FILE, INDEX_FILE]) {
        renameSync(`${directory}/${name}`, `${ingest}/${name}`);
      }
    });
  }

  /** `take` moves the layer's files into the directory that it is given. */
  commit(parent: Digest | undefined, layer: NewLayer, take: (ingest: string) => void): Layer {
    const chainId = chainIdOf(parent, layer.diffId);
    const existing = this.get(chainId);
    if (existing !== undefined) return existing;
    if (parent !== undefined) this.known(parent);
    const ingest = this.#newIngest();
    try {
      take(ingest);
      return this.#commitIngest(ingest, this.#complete(ingest, parent, layer));
    } catch (error) {
      this.#background.discard(ingest);
      throw error;
    }
  }

  /** `source` unpacked beside the layer, in `form` where that can be. Disposing removes it. */
  async unpackBeside(
    chainId: Digest,
    source: FilePart,
    form: LayerForm,
    signal?: AbortSignal,
  ): Promise<Disposable & { readonly diffPath: string | undefined; replace(): void }> {
    const { parent, diffId } = this.known(chainId);
    const ingest = this.#newIngest();
    let layer: StoredLayer;
    try {
      const job = { kind: "apply", target: ingest, form, source, diffId } as const;
      const applied = await this.#workers.run<"apply">(job, { signal });
      layer = this.#complete(ingest, parent, applied);
    } catch (error) {
      this.#background.discard(ingest);
      throw error;
    }
    return {
      diffPath: layer.form === "directory" ? `${ingest}/diff` : undefined,
      replace: () => this.#replace(ingest, layer),
      [Symbol.dispose]: () => this.#background.discard(ingest),
    };
  }

  #replace(ingest: string, layer: StoredLayer): void {
    const directory = this.directory(layer.chainId);
    // Without its file the layer is none: who finds it so after a death unpacks it again.
    mkdirSync(directory, { recursive: true, mode: 0o711 });
    rmSync(`${directory}/${LAYER_FILE}`, { force: true });
    const old = `${ingest}/old`;
    mkdirSync(old);
    for (const name of ["diff", TAR_FILE, INDEX_FILE]) {
      if (existsSync(`${directory}/${name}`)) renameSync(`${directory}/${name}`, `${old}/${name}`);
      if (existsSync(`${ingest}/${name}`)) renameSync(`${ingest}/${name}`, `${directory}/${name}`);
    }
    this.#mounts.release(directory);
    this.#layers.set(layer.chainId, layer);
    const text = formatLayer({ ...layer, unflushedBootId: this.#bootId });
    writeFileAtomic(`${directory}/${LAYER_FILE}`, text);
    this.#flushLater(layer);
  }

  /** The caller has made sure that nothing stands on it. */
  remove(chainId: Digest): void {
    if (!this.#layers.delete(chainId)) return;
    this.#mounts.release(this.directory(chainId));
    this.#background.discard(this.directory(chainId));
  }

  #newIngest(): string {
    const ingest = `${this.#layout.ingest}/${randomHex(8)}`;
    withDiskErrors(() => mkdirSync(ingest, { mode: 0o700 }));
    return ingest;
  }

  async #unpack(options: UnpackOptions): Promise<Layer> {
    const { parent, below, source, diffId, maxBytes, maxEntries, signal } = options;
    const ingest = this.#newIngest();
    try {
      const isFile = "path" in source;
      const applied = await this.#workers.run<"apply">(
        {
          kind: "apply",
          target: ingest,
          form: this.#newForm(),
          source: isFile ? source : "stdin",
          ...(diffId === undefined ? {} : { diffId }),
          ...(maxBytes === undefined ? {} : { maxBytes }),
          ...(maxEntries === undefined ? {} : { maxEntries }),
        },
        isFile ? { signal } : { stdin: source.stream, signal },
      );
      await below;
      await this.#waitForParent(parent);
      return this.#commitIngest(ingest, this.#complete(ingest, parent, applied));
    } catch (error) {
      this.#background.discard(ingest);
      throw error;
    }
  }

  /**
   * The layer as it is described on disk. Overlay shows the topmost layer's root: where the tar says nothing of
   * it, mode and owner of "/" must not fall back to the default.
   */
  #complete(ingest: string, parent: Digest | undefined, layer: NewLayer): StoredLayer {
    const { diffId, sizeBytes, isOpaque, form, hasRootEntry, root } = layer;
    const chainId = chainIdOf(parent, diffId);
    const inherits = !hasRootEntry && parent !== undefined;
    const inherited = inherits ? this.rootOf(parent) : undefined;
    const described = { chainId, parent, diffId, sizeBytes, isOpaque, form };
    if (form === "erofs") {
      identifyIndex(`${ingest}/${INDEX_FILE}`, chainId, inherited);
      return { ...described, root: inherited ?? root ?? DEFAULT_ROOT };
    }
    if (inherited !== undefined) {
      chownSync(`${ingest}/diff`, inherited.uid, inherited.gid);
      chmodSync(`${ingest}/diff`, inherited.mode);
    }
    return described;
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

  #commitIngest(ingest: string, layer: StoredLayer): Layer {
    const existing = this.get(layer.chainId);
    if (existing !== undefined) {
      this.#background.discard(ingest);
      return existing;
    }
    const text = formatLayer({ ...layer, unflushedBootId: this.#bootId });
    withDiskErrors(() => {
      writeFileSync(`${ingest}/${LAYER_FILE}`, text, { mode: 0o600 });
      chmodSync(ingest, 0o711);
      renameSync(ingest, this.directory(layer.chainId));
    });
    this.#layers.set(layer.chainId, layer);
    this.#flushLater(layer);
    return publicPart(layer);
  }

  /**
   * The answer does not wait for the disk: until the flush is done the layer is marked with the
   * running kernel's id, and a store opened by another kernel does not trust it.
   */
  #flushLater(layer: StoredLayer): void {
    this.#background.flush(() => {
      if (this.#layers.get(layer.chainId) !== layer) return;
      writeFileAtomic(`${this.directory(layer.chainId)}/${LAYER_FILE}`, formatLayer(layer));
    });
  }

  directory(chainId: Digest): string {
    return `${this.#layout.layers}/${layerName(chainId)}`;
  }
}

const DEFAULT_ROOT: RootAttributes = { mode: 0o755, uid: 0, gid: 0 };

/** The tar of a loaded layer is its blob too, and is counted there. */
const indexedBytes = (directory: string): number => {
  const index = statSync(`${directory}/${INDEX_FILE}`, { throwIfNoEntry: false });
  const tar = statSync(`${directory}/${TAR_FILE}`, { throwIfNoEntry: false });
  return (index?.size ?? 0) + (tar === undefined || tar.nlink > 1 ? 0 : tar.size);
};
