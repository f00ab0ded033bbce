/**
 * Overlay trees: the layers of images and the writable layers of containers.
 *
 * A *layer* is a committed, read-only tree, named by its chainID (image-spec 1.1, config.md,
 * "Layer ChainID"). It exists when its directory stands at its final name; nothing else says so. Its files are
 * kept in one of two forms (layer-form.ts): unpacked, or in their tar with an EROFS index that the kernel mounts.
 * An *active* snapshot is a writable directory on top of a layer (or of nothing), named by its owner
 * (a container id, a build step). A *view* is a read-only mount of a layer's whole chain.
 *
 *     unpack ──► layer ──prepare──► active ──mount──► path of the merged tree
 *                  ▲                   │
 *                  └── commitActive ───┘        remove: unmounted and out of sight at once, deleted later
 *
 * Under `<root>`:
 *   layers/<chainID hex>/{layer.json, diff/}    or {layer.json, layer.tar, layer.erofs}
 *   active/<id>/{upper/, work/, merged/, parent}
 *   ingest/ views/ trash/                       half-made things: swept when the store is opened
 *
 * All paths handed out stay valid until the thing is removed. Mounts survive the daemon and are found
 * again at open. Names that come from users never become part of a path without a check.
 */
import type { LayerForm, RootAttributes } from "#snapshot/layer-form.ts";
import type { Digest } from "#spec/image/digest.ts";

export interface Layer {
  readonly chainId: Digest;
  /** The layer below, undefined for the lowest. */
  readonly parent: Digest | undefined;
  /** sha256 of the layer's uncompressed tar. */
  readonly diffId: Digest;
  /** Sum of the sizes of its files, as Docker counts a layer. */
  readonly sizeBytes: number;
  /** Hides everything below (an opaque whiteout at the root). */
  readonly isOpaque: boolean;
  readonly form: LayerForm;
}

export interface ActiveSnapshot {
  readonly id: string;
  readonly parent: Digest | undefined;
  /** The store's ground lies below its layers. */
  readonly isGrounded?: boolean;
}

/** Absolute paths of an active snapshot; what `docker inspect` shows as GraphDriver data. */
export interface SnapshotPaths {
  readonly upper: string;
  readonly work: string;
  readonly merged: string;
  /** Where the layers below are kept, topmost first; those in the form `erofs` are no trees to look into. */
  readonly lowers: readonly string[];
}

/** A read-only mount; disposing unmounts it. */
export interface View extends Disposable {
  readonly path: string;
}

export interface Usage {
  /** Sum of file sizes, hard links counted once: Docker's SizeRw. */
  readonly sizeBytes: number;
  readonly files: number;
}

/** Where the bytes of a layer tar (plain, gzip, zstd, xz or bzip2) come from. */
export type LayerSource =
  | { readonly path: string; readonly offset?: number; readonly length?: number }
  | { readonly stream: ReadableStream<Uint8Array> };

export interface LayerLimits {
  /** Most bytes of the uncompressed tar. */
  readonly maxBytes?: number;
  readonly maxEntries?: number;
}

export interface UnpackOptions extends LayerLimits {
  /** ChainID of the layer below: committed, or being unpacked by another call of this store. */
  readonly parent: Digest | undefined;
  /** Resolves when the layer below is there, where it comes in another way (adopted); its failure is this layer's. */
  readonly below?: Promise<unknown>;
  readonly source: LayerSource;
  /**
   * What the image config says. A tar with another sum is refused (data_loss). Given, calls for the
   * same chain share one run, and a layer that exists answers at once without reading `source`.
   */
  readonly diffId?: Digest;
  readonly signal?: AbortSignal;
}

/** As `docker diff` numbers them. */
export type ChangeKind = 0 | 1 | 2;

export interface Change {
  /** Absolute within the container. */
  readonly path: string;
  /** 0 modified, 1 added, 2 deleted. */
  readonly kind: ChangeKind;
}

export interface DiffOptions {
  /**
   * Absolute paths that the runtime made to have something to mount on. They are left out where the
   * image does not have them, and so are directories that hold nothing else.
   */
  readonly hiddenPaths?: readonly string[];
}

export interface SealOptions extends DiffOptions {
  /** Later times of files are set back to this: seconds since the epoch. */
  readonly mtimeMaxSeconds?: number;
  readonly signal?: AbortSignal;
}

/** A descriptor to tell on, see `sumBeside`; disposing closes it. */
export type Teller = { readonly fd: number } & Disposable;

export interface DiffTarResult {
  readonly diffId: Digest;
  /** Bytes of the tar. */
  readonly tarBytes: number;
  /** Sum of file sizes, as `Layer.sizeBytes`. */
  readonly sizeBytes: number;
}

/** A layer that a worker of another room made while it read an archive. */
export interface StagedLayer {
  /** On the store's file system: the tree in overlay form, or the tar and its index. Moved away. */
  readonly directory: string;
  readonly form: LayerForm;
  /** What the tar says of it, or the default. Only of the form `erofs`. */
  readonly root?: RootAttributes;
  readonly parent: Digest | undefined;
  /** Of the uncompressed tar; the caller has checked it. */
  readonly diffId: Digest;
  readonly sizeBytes: number;
  readonly isOpaque: boolean;
  readonly hasRootEntry: boolean;
}

export type LayerVerdict = "good" | "damaged" | "repaired";

export interface VerifyOptions {
  /** The layer's tar, in any compression. */
  readonly source?: { readonly path: string };
  readonly repairs: boolean;
  readonly signal?: AbortSignal;
}

/** How new layers are kept, and why. */
export interface NewLayers {
  readonly form: LayerForm;
  /** For people: what the kernel said, or who chose. */
  readonly reason: string;
}

export interface Snapshots {
  // Layers
  /** The first call tries what the kernel can, in less than a millisecond; the answer stays. */
  newLayers(): NewLayers;
  layer(chainId: Digest): Layer | undefined;
  layers(): readonly Layer[];
  /** Where the layer's files are kept: a tree in overlay form, or the tar and its index. Throws not_found. */
  layerPath(chainId: Digest): string;
  /** Layers from `chainId` down to the lowest. Throws not_found. */
  chain(chainId: Digest): readonly Layer[];
  /** Bytes on disk of all layers, without tars that are also blobs. */
  layerBytes(): number;
  /** Unpacks (or indexes) in a child process and commits. Leaves nothing behind when it fails. */
  unpack(options: UnpackOptions): Promise<Layer>;
  /**
   * Commits an unpacked directory. Throws failed_precondition when `parent` is not here; when it fails,
   * and when the layer is here already, the directory stays the caller's.
   */
  adopt(staged: StagedLayer): Layer;
  /**
   * Turns an active snapshot's changes into a layer without copying. The snapshot is unmounted and
   * gone afterwards. `diff` is what `diffTar` gave for it.
   */
  commitActive(id: string, diff: DiffTarResult): Promise<Layer>;
  /**
   * Out of sight at once, deleted in the background. failed_precondition while a layer, an active
   * snapshot or a view stands on it; a layer that is not there is no error.
   */
  removeLayer(chainId: Digest): void;

  /**
   * Takes away what a runtime made to mount upon (empty, and not in the layers below), and sums up the
   * rest as `commitActive` wants it, without writing a tar. To be called once nothing is mounted there.
   */
  seal(id: string, options?: SealOptions): Promise<DiffTarResult>;
  /**
   * Has a child process sum the snapshot up while a process writes it that tells of each entry (see sum-beside.ts)
   * on the descriptor, and writes nothing else there. `seal` takes the sums where they turn out right. The caller
   * hands the descriptor to the writer and disposes of its own; the child ends when nobody has it any more.
   */
  sumBeside(id: string, signal?: AbortSignal): Teller;
  /** Writes a committed layer as the tar that its diffID is the sum of; data_loss when it is not. */
  layerTar(chainId: Digest, file: string, signal?: AbortSignal): Promise<DiffTarResult>;

  /**
   * Whether the layer's files are still what its tar says: of an indexed layer tar and index are read again.
   * Unpacked files are summed up as a tar of our own making: that is
   * the diffID of layers made here; else `source`, the tar, is unpacked beside and summed up likewise. With
   * `repairs` the fresh files take the place of damaged ones: nothing may be mounted on the layer then.
   */
  verifyLayer(chainId: Digest, options: VerifyOptions): Promise<LayerVerdict>;

  // Active snapshots
  /**
   * Makes the directories; mounts nothing. Throws already_exists, and not_found for the parent. `isGrounded`: the
   * directory that the store was given as its ground is seen below the layers; it is no part of what changes.
   */
  prepare(id: string, parent: Digest | undefined, isGrounded?: boolean): SnapshotPaths;
  active(id: string): ActiveSnapshot | undefined;
  actives(): readonly ActiveSnapshot[];
  /** Throws not_found. */
  paths(id: string): SnapshotPaths;
  /**
   * Returns the merged tree's path. Mounted already is no error. With `isVolatile` nothing waits for the disk, not
   * even the unmount, which would write out all that the file system holds back, nor an fsync(2) of whoever writes: for
   * what becomes a layer (those are flushed by the store) or is thrown away.
   */
  mount(id: string, isVolatile?: boolean): string;
  /**
   * Mounts for the mount namespace that this thread is in just now, which keeps the mount and ends it;
   * `unmount` knows nothing of it. Returns the merged tree's path there.
   */
  mountInNamespace(id: string, isVolatile?: boolean): string;
  /** Not mounted, or no such snapshot, is no error. */
  unmount(id: string): void;
  /** Unmounted and out of sight at once, deleted in the background. Unknown is no error. */
  remove(id: string): void;
  /**
   * A writable mount of the merged tree at a place of its own, for who looks at it from outside: what else is
   * mounted of it, here or in other namespaces, comes and goes beside it. Disposing ends what was mounted inside as well.
   */
  viewActive(id: string): View;
  /** Read-only mount of an image's tree; undefined gives an empty one. */
  view(chainId: Digest | undefined): View;

  // Reading
  /** Counts in small steps, so that the thread stays free. */
  usage(id: string, signal?: AbortSignal): Promise<Usage>;
  /** Sorted by path; directories on the way to a change are listed as modified. */
  changes(id: string, options?: DiffOptions): Promise<Change[]>;
  /** Writes the changes as an uncompressed layer tar into `file` (created, mode 0600), in a child process. */
  diffTar(
    id: string,
    file: string,
    options?: DiffOptions & { readonly signal?: AbortSignal },
  ): Promise<DiffTarResult>;

  /**
   * The whole merged tree as a tar, from a child process. The stream errors when the child does;
   * cancelling it, or the signal, ends the child.
   */
  export(id: string, signal?: AbortSignal): ReadableStream<Uint8Array>;

  /** Resolves when everything in the background (deletions, flushing layers to disk) is done. */
  idle(): Promise<void>;
}
