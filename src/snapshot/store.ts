/** The snapshot store on disk. The manual is snapshot.ts. */
import {
  existsSync,
  linkSync,
  mkdirSync,
  realpathSync,
  rmSync,
  statSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { NaruError } from "#lib/errors.ts";
import type { Logger } from "#lib/log.ts";
import type { FileKernel, MountKernel, SocketKernel } from "#kernel/kernel.ts";
import { Actives } from "#snapshot/actives.ts";
import { Background } from "#snapshot/background.ts";
import { type ProbeFailure, probeErofs } from "#snapshot/erofs-probe.ts";
import { type LayerForm, TAR_FILE } from "#snapshot/layer-form.ts";
import { LayerMounts } from "#snapshot/layer-mounts.ts";
import { listChanges } from "#snapshot/diff.ts";
import { Layers } from "#snapshot/layers.ts";
import { type Layout, layoutOf } from "#snapshot/layout.ts";
import { currentBootId, makeDirectories, scanStore } from "#snapshot/scan.ts";
import {
  checkSameLayer,
  clampTimes,
  isSmallTree,
  removeMountPoints,
  sumDiff,
} from "#snapshot/seal.ts";
import type {
  ActiveSnapshot,
  Change,
  DiffOptions,
  DiffTarResult,
  SealOptions,
  Layer,
  LayerVerdict,
  NewLayers,
  SnapshotPaths,
  Snapshots,
  VerifyOptions,
  StagedLayer,
  Teller,
  UnpackOptions,
  Usage,
  View,
} from "#snapshot/snapshot.ts";
import { SumsBeside } from "#snapshot/sums-beside.ts";
import { treeUsage } from "#snapshot/usage.ts";
import { Views } from "#snapshot/views.ts";
import { WorkerPool } from "#snapshot/worker-pool.ts";
import type { Digest } from "#spec/image/digest.ts";

type StoreKernel = MountKernel & FileKernel & Pick<SocketKernel, "pipe">;

export interface SnapshotStoreOptions {
  /** Made when missing. One store per directory, one process per store. */
  readonly root: string;
  readonly kernel: StoreKernel;
  /** Runs `runSnapshotWorker` (worker.ts); the job is put behind it as one more argument. */
  readonly workerCommand: readonly string[];
  readonly log: Logger;
  /** How new layers are kept; undefined: indexed where the kernel can mount that. */
  readonly layerForm?: LayerForm | undefined;
  /** On the store's file system; never changes. Default: an empty directory. */
  readonly ground?: string;
}

class SnapshotStore implements Snapshots {
  readonly #layout: Layout;
  readonly #kernel: StoreKernel;
  readonly #background: Background;
  readonly #workers: WorkerPool;
  readonly #layers: Layers;
  readonly #actives: Actives;
  readonly #views: Views;
  readonly #sums: SumsBeside;
  readonly #layerForm: LayerForm | undefined;
  /** What the probe found, once it was asked, if that stays so. */
  #probed: { readonly failure: ProbeFailure | undefined } | undefined;

  constructor(options: SnapshotStoreOptions, layout: Layout) {
    const { kernel, log } = options;
    this.#layout = layout;
    this.#kernel = kernel;
    this.#layerForm = options.layerForm;
    this.#background = new Background(layout.trash, log);
    this.#workers = new WorkerPool(options.workerCommand);
    this.#sums = new SumsBeside(kernel, this.#workers);
    makeDirectories(layout);
    this.#assertForm();
    const found = scanStore(layout, kernel, this.#background, log, () => this.#probe());
    this.#layers = new Layers({
      layout,
      background: this.#background,
      workers: this.#workers,
      mounts: new LayerMounts(kernel),
      found: found.layers,
      newForm: () => this.newLayers().form,
    });
    const { ground } = options;
    this.#actives = new Actives(layout, kernel, this.#background, this.#layers, found, ground);
    this.#views = new Views(layout, kernel, this.#actives);
  }

  #assertForm(): void {
    const failure = this.#layerForm === "erofs" ? this.#probe() : undefined;
    if (failure === undefined) return;
    throw new NaruError(
      "failed_precondition",
      `layers cannot be kept in the form "erofs": ${failure.reason}; choose "auto" or "directory"`,
    );
  }

  newLayers(): NewLayers {
    const chosen = this.#layerForm;
    if (chosen === "directory") return { form: chosen, reason: "directories were asked for" };
    const failure = this.#probe();
    if (failure === undefined)
      return { form: "erofs", reason: "this kernel mounts layers from their tars" };
    return { form: "directory", reason: `this kernel cannot mount tars: ${failure.reason}` };
  }

  layer(chainId: Digest): Layer | undefined {
    return this.#layers.get(chainId);
  }

  layers(): readonly Layer[] {
    return this.#layers.all();
  }

  layerPath(chainId: Digest): string {
    return this.#layers.path(chainId);
  }

  layerBytes(): number {
    return this.#layers.bytes();
  }

  chain(chainId: Digest): readonly Layer[] {
    return this.#layers.chain(chainId);
  }

  unpack(options: UnpackOptions): Promise<Layer> {
    return this.#layers.unpack(options);
  }

  adopt(staged: StagedLayer): Layer {
    return this.#layers.adopt(staged);
  }

  async commitActive(id: string, diff: DiffTarResult): Promise<Layer> {
    const { parent } = this.#actives.known(id);
    const { diffId, sizeBytes } = diff;
    // The files are there already, and a tar of them may never be wanted: they stay a directory.
    const made = {
      diffId,
      sizeBytes,
      isOpaque: false,
      form: "directory",
      hasRootEntry: true,
    } as const;
    const layer = this.#layers.commit(parent, made, (ingest) =>
      this.#actives.surrender(id, `${ingest}/diff`),
    );
    this.#actives.remove(id); // When the layer was there already.
    return layer;
  }

  removeLayer(chainId: Digest): void {
    if (this.#layers.get(chainId) === undefined) return;
    const user =
      this.#layers.all().find((layer) => layer.parent === chainId)?.chainId ??
      this.#actives.all().find((active) => active.parent === chainId)?.id ??
      this.#views.on(chainId);
    if (user !== undefined) {
      throw new NaruError(
        "failed_precondition",
        `layer "${chainId}" cannot be removed: "${user}" stands on it; remove that first`,
      );
    }
    this.#layers.remove(chainId);
  }

  prepare(id: string, parent: Digest | undefined, isGrounded = false): SnapshotPaths {
    return this.#actives.prepare(id, parent, isGrounded);
  }

  active(id: string): ActiveSnapshot | undefined {
    return this.#actives.get(id);
  }

  actives(): readonly ActiveSnapshot[] {
    return this.#actives.all();
  }

  paths(id: string): SnapshotPaths {
    return this.#actives.paths(id);
  }

  mount(id: string, isVolatile = false): string {
    return this.#actives.mount(id, isVolatile);
  }

  mountInNamespace(id: string, isVolatile = false): string {
    return this.#actives.mountInNamespace(id, isVolatile);
  }

  unmount(id: string): void {
    this.#actives.unmount(id);
  }

  remove(id: string): void {
    this.#sums.forget(id);
    this.#actives.remove(id);
  }

  viewActive(id: string): View {
    return this.#views.ofActive(id);
  }

  view(chainId: Digest | undefined): View {
    return this.#views.of(this.#layers.stack(chainId), chainId);
  }

  async usage(id: string, signal?: AbortSignal): Promise<Usage> {
    return await treeUsage(this.#kernel, this.#actives.paths(id).upper, signal);
  }

  async changes(id: string, options: DiffOptions = {}): Promise<Change[]> {
    const { parent } = this.#actives.known(id);
    const { upper } = this.#actives.paths(id);
    using lower = this.view(parent);
    return await listChanges({
      kernel: this.#kernel,
      upper,
      lower: lower.path,
      hiddenPaths: options.hiddenPaths ?? [],
    });
  }

  async diffTar(
    id: string,
    file: string,
    options: DiffOptions & { readonly signal?: AbortSignal } = {},
  ): Promise<DiffTarResult> {
    const { parent } = this.#actives.known(id);
    const { upper } = this.#actives.paths(id);
    using lower = this.view(parent);
    const { hiddenPaths = [], signal } = options;
    try {
      return await this.#workers.run<"diff">(
        { kind: "diff", upper, lower: lower.path, hiddenPaths, file },
        { signal },
      );
    } catch (error) {
      if (signal?.aborted === true) rmSync(file, { force: true }); // A killed child leaves it.
      throw error;
    }
  }

  async seal(id: string, options: SealOptions = {}): Promise<DiffTarResult> {
    const { parent } = this.#actives.known(id);
    this.#actives.unmount(id);
    const { upper } = this.#actives.paths(id);
    const { hiddenPaths = [], signal } = options;
    const beside = await this.#sums.take(id);
    // Both change what was summed up.
    const isAsWritten = hiddenPaths.length === 0 && options.mtimeMaxSeconds === undefined;
    if (beside !== undefined && isAsWritten) return beside;
    using lower = this.view(parent);
    const kernel = this.#kernel;
    const input = { kernel, upper, lower: lower.path, hiddenPaths };
    removeMountPoints(input);
    if (options.mtimeMaxSeconds !== undefined) clampTimes(kernel, upper, options.mtimeMaxSeconds);
    if (isSmallTree(kernel, upper)) return sumDiff(input);
    return await this.#workers.run<"diff">(
      { kind: "diff", upper, lower: lower.path, hiddenPaths, isSumOnly: true },
      { signal },
    );
  }

  sumBeside(id: string, signal?: AbortSignal): Teller {
    return this.#sums.start(id, this.#actives.paths(id).upper, signal);
  }

  async layerTar(chainId: Digest, file: string, signal?: AbortSignal): Promise<DiffTarResult> {
    const { parent, diffId, form, sizeBytes } = this.#layers.known(chainId);
    const path = this.#layers.path(chainId);
    if (form === "erofs") {
      // Its sum was found right when the layer was made; nothing writes to it.
      linkSync(`${path}/${TAR_FILE}`, file);
      return { diffId, tarBytes: statSync(file).size, sizeBytes };
    }
    using lower = this.view(parent);
    const job = { kind: "diff", upper: path, lower: lower.path, hiddenPaths: [], file } as const;
    const made = await this.#workers.run<"diff">(job, { signal });
    checkSameLayer(chainId, diffId, made.diffId);
    return made;
  }

  async verifyLayer(chainId: Digest, options: VerifyOptions): Promise<LayerVerdict> {
    const { parent, diffId, form } = this.#layers.known(chainId);
    const { source, repairs, signal } = options;
    const sum = async (upper: string): Promise<Digest> => {
      using lower = this.view(parent);
      const job = { kind: "diff", upper, lower: lower.path, hiddenPaths: [] } as const;
      return (await this.#workers.run<"diff">({ ...job, isSumOnly: true }, { signal })).diffId;
    };
    const path = this.#layers.path(chainId);
    let stored: Digest | undefined;
    if (form === "erofs") {
      const root = this.#layers.rootOf(chainId);
      const job = { kind: "verify", directory: path, chainId, diffId, root } as const;
      if ((await this.#workers.run<"verify">(job, { signal })).isGood) return "good";
      if (!repairs) return "damaged";
    } else {
      stored = existsSync(path) ? await sum(path) : undefined;
      if (stored === diffId) return "good";
    }
    if (source === undefined) return "damaged";
    using fresh = await this.#layers.unpackBeside(chainId, source, form, signal);
    const { diffPath } = fresh;
    if (stored !== undefined && diffPath !== undefined && (await sum(diffPath)) === stored)
      return "good";
    if (!repairs) return "damaged";
    fresh.replace();
    return "repaired";
  }

  export(id: string, signal?: AbortSignal): ReadableStream<Uint8Array> {
    const { upper, merged } = this.#actives.paths(id);
    if (this.#actives.isMounted(id)) {
      return this.#workers.stream({ kind: "export", root: merged }, { signal });
    }
    const { lowers, isMixed } = this.#actives.stack(id);
    const stack = { lowers: [upper, ...lowers], isMixed };
    const view = this.#views.of(stack, this.#actives.known(id).parent);
    const dispose = (): void => view[Symbol.dispose]();
    return this.#workers.stream({ kind: "export", root: view.path }, { signal, onEnd: dispose });
  }

  async idle(): Promise<void> {
    await this.#background.idle();
  }

  #probe(): ProbeFailure | undefined {
    if (this.#probed !== undefined) return this.#probed.failure;
    const { probed } = this.#layout;
    const bootId = currentBootId();
    const isKnown = existsSync(probed) && readFileSync(probed, "utf8") === bootId;
    const failure = isKnown ? undefined : probeErofs(this.#kernel, this.#layout);
    if (failure === undefined && !isKnown) writeFileSync(probed, bootId);
    if (failure === undefined || failure.isLasting) this.#probed = { failure };
    return failure;
  }
}

/**
 * Opens the store: finds layers, writable layers and mounts again, sweeps what is half made. Throws
 * invalid_argument for a root that overlay options cannot name.
 */
export const openSnapshots = (options: SnapshotStoreOptions): Snapshots => {
  mkdirSync(options.root, { recursive: true, mode: 0o711 });
  return new SnapshotStore(options, layoutOf(realpathSync(options.root)));
};
