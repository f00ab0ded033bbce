/**
 * What the engine can do with images: the manual of this room and all that `api/`, `container/` and
 * `build/` may call.
 *
 * An image is its config: the id is the config's digest. Names point at ids; layers belong to the
 * snapshot store by chainID and, as blobs, to content. Reads are synchronous and come from memory.
 * A write resolves when its rows are on disk; blobs and layers are there before the rows that name
 * them, and are removed after those rows are gone, so a crash leaves unnamed files (see `collect`),
 * never a name without its files. Error texts are those Docker's users know.
 *
 * Wherever a `name` is taken it may be a whole id, an id prefix, name[:tag] or name@digest. Names win
 * over id prefixes. Unknown ones throw not_found "No such image: x:latest".
 */
import type { SavedArchive } from "#image/archive-segment.ts";
import type { CreatedIndex, NewIndex, ServedIndex, StoredManifest } from "#image/index-document.ts";
import type { ImageTransfers } from "#image/transfer.ts";
import type { TrustReport } from "#image/trust-report.ts";
import type { Bundles } from "#image/bundle.ts";
import type { TrashSource } from "#metadata/trash.ts";
import type { ContainerConfig } from "#spec/docker/container-config.ts";
import type { EventMessage } from "#spec/docker/event.ts";
import type { Filters } from "#spec/docker/filters.ts";
import type { DeleteItem, HistoryItem, ImageInspect, ImageSummary } from "#spec/docker/image.ts";
import type { ImageConfig } from "#spec/image/config.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import type { Digest } from "#spec/image/digest.ts";
import type { Platform } from "#spec/image/platform.ts";

export interface ImageRecord {
  readonly id: Digest;
  readonly config: ImageConfig;
  /** The exact bytes whose digest is `id`. */
  readonly configText: string;
  /** chainID of the topmost layer; undefined for an image without layers. */
  readonly chainId: Digest | undefined;
  readonly platform: Platform;
  /** "alpine:3.20", in order. */
  readonly repoTags: readonly string[];
  /** "alpine@sha256:…". */
  readonly repoDigests: readonly string[];
  /** Image it was made from on this machine. */
  readonly parent: Digest | undefined;
  /** RFC 3339; ZERO_TIME when the config says nothing. */
  readonly createdAt: string;
  /** Sum of the unpacked layers. */
  readonly sizeBytes: number;
  readonly lastTaggedAt: string;
  readonly manifestDigest: Digest | undefined;
}

/** A file the daemon may read, or bytes as they come from a client. Any of gzip, zstd, bzip2, xz or plain. */
export type ArchiveSource = { readonly path: string } | AsyncIterable<Uint8Array>;

/** What `load` tells while it works; the API turns it into Docker's JSON lines. */
export type LoadEvent =
  | {
      readonly kind: "progress";
      /** Short digest of the layer. */
      readonly id: string;
      readonly current: number;
      readonly total: number;
    }
  /** `reference` "alpine:3.20", absent for an image without a name. */
  | { readonly kind: "loaded"; readonly imageId: Digest; readonly reference?: string }
  /** The name pointed elsewhere before; that image is untagged now. */
  | { readonly kind: "renamed"; readonly reference: string; readonly oldId: Digest };

/** "Loaded image: alpine:3.20\n", as Docker prints the event; undefined for progress. */
export const loadEventText = (event: LoadEvent): string | undefined => {
  switch (event.kind) {
    case "progress":
      return undefined;
    case "loaded":
      return event.reference === undefined
        ? `Loaded image ID: ${event.imageId}\n`
        : `Loaded image: ${event.reference}\n`;
    case "renamed":
      return `The image ${event.reference} already exists, renaming the old one with ID ${event.oldId} to empty string\n`;
  }
};

export interface LoadOptions {
  readonly signal: AbortSignal;
  readonly onEvent?: (event: LoadEvent) => void;
  /** "repo[:tag]" in place of the names in the archive, which then has to hold one image. */
  readonly reference?: string;
  /** Of an archive with several platforms this one alone; all when absent. */
  readonly platform?: Platform;
}

export interface ImportOptions {
  readonly signal: AbortSignal;
  /** "repo[:tag]"; untagged when absent. */
  readonly reference?: string;
  readonly message?: string;
  /** Dockerfile instructions. */
  readonly changes?: readonly string[];
  readonly platform?: Platform;
  /** Goes before `changes`. */
  readonly config?: Partial<ContainerConfig>;
  /** Set for reproducible images; else now. */
  readonly createdAt?: string;
}

/** An image in the form of a registry: a manifest, and the bytes that it speaks of. */
export interface ServedImage {
  readonly imageId: Digest;
  /** The bytes whose digest is `imageId`. */
  readonly config: Uint8Array;
  readonly manifest: {
    readonly digest: Digest;
    readonly mediaType: string;
    readonly content: Uint8Array;
  };
  /** Lowest first, as they are stored: compressed or not. */
  readonly layers: readonly {
    readonly digest: Digest;
    readonly sizeBytes: number;
    readonly path: string;
  }[];
}

/** A layer that is in the snapshot store already, as a build step leaves it. */
export interface NewLayer {
  readonly diffId: Digest;
  /** The chainID of all layers below it and this one. */
  readonly chainId: Digest;
  /** Unpacked bytes. */
  readonly sizeBytes: number;
  /** Its tar as a blob of content. Without one the image cannot be saved or pushed. */
  readonly blob?: Descriptor;
}

/** A layer as a plain tar, as a commit makes it. */
export interface LayerTar {
  readonly diffId: Digest;
  /** On the file system of the content store, which takes it over; the caller's when this fails. */
  readonly path: string;
}

export interface CreateFromLayer {
  /** Image below; undefined = from scratch. */
  readonly parent: Digest | undefined;
  /** undefined: only the config changes (an empty layer in the history). */
  readonly layer: NewLayer | LayerTar | undefined;
  readonly config: Partial<ContainerConfig>;
  readonly createdBy?: string;
  readonly author?: string;
  readonly message?: string;
  /** What that container was made of, before the request changed it. */
  readonly containerConfig?: Partial<ContainerConfig>;
  /** Id of the container it is the state of. */
  readonly container?: string;
  readonly reference?: string;
  readonly platform?: Platform;
  readonly signal?: AbortSignal;
}

/** An image whose parts are all stored: what pull and build end with. */
export interface StoredImage {
  readonly configText: string;
  readonly manifestDigest?: Digest;
  readonly parent?: Digest;
  /** One per diffID of the config, lowest first. */
  readonly layers: readonly {
    readonly diffId: Digest;
    readonly sizeBytes: number;
    readonly blobs: readonly {
      readonly digest: Digest;
      readonly mediaType: string;
      readonly sizeBytes: number;
    }[];
  }[];
}

export interface ListOptions {
  /** Also images without a name that others were made from. */
  readonly isAll: boolean;
  /** before dangling label label! reference since until. */
  readonly filters: Filters;
  /** Computes `SharedSize`, else -1. */
  readonly hasSharedSize?: boolean;
  /** With how many containers were made of each; else -1. */
  readonly hasUsers?: boolean;
  /** Adds `Manifests`: every platform, here or not. */
  readonly hasManifests?: boolean;
}

export interface InspectOptions {
  /** The main one's when absent; not_found when it is not here. */
  readonly platform?: Platform;
  readonly hasManifests?: boolean;
}

export interface RemoveOptions {
  readonly isForced: boolean;
  /** Leaves untagged parents alone. */
  readonly isParentKept: boolean;
  /** With it the image can be brought back, where the trash is on. */
  readonly batch?: string;
  /** Gone at once, also where the trash is on. */
  readonly isFinal?: boolean;
  /** Of a name with several: these go, the name stays with the others. All of them: the name goes too. */
  readonly platforms?: readonly Platform[];
}

export interface PruneResult {
  readonly ImagesDeleted: DeleteItem[] | null;
  readonly SpaceReclaimed: number;
}

export interface RestoreResult {
  readonly sweptIngests: number;
  readonly removedLayers: number;
  readonly unpackedLayers: number;
  /** Images with layers that are lost: they can be removed or loaded again, not run. */
  readonly brokenImages: readonly Digest[];
}

/** For `system df`: bytes on disk by image. */
export interface ImageUsageItem {
  readonly summary: ImageSummary;
  readonly sharedBytes: number;
  readonly uniqueBytes: number;
}
export interface ImageUsageTotal {
  /** All layers, each counted once. */
  readonly layersBytes: number;
  readonly images: readonly ImageUsageItem[];
}

export interface Images extends ImageTransfers {
  /** The id, in microseconds. */
  resolve(name: string): Digest;
  /** undefined in place of not_found; other errors are thrown. */
  find(name: string, platform?: Platform): ImageRecord | undefined;
  /** With `platform`: the one of the name's images that serves it best; not_found when none does. */
  get(name: string, platform?: Platform): ImageRecord;
  /** Newest first. */
  list(options: ListOptions): ImageSummary[];
  inspect(name: string, options?: InspectOptions): ImageInspect;
  history(name: string, platform?: Platform): HistoryItem[];
  /**
   * `target` "repo[:tag]". Returns its familiar form. An image that an index lists brings it along, unless it `isAlone`:
   * a build's result, which is this image and nothing that was made around it before.
   */
  tag(name: string, target: string, options?: { readonly isAlone: boolean }): string;
  remove(name: string, options: RemoveOptions): Promise<DeleteItem[]>;
  /** Filters dangling (default true), until, label, label!. */
  prune(
    filters: Filters,
    signal?: AbortSignal,
    options?: { readonly batch?: string },
  ): Promise<PruneResult>;
  /** What was removed and can be brought back. */
  readonly removed: TrashSource;
  usage(): ImageUsageTotal;

  /** Whole or not at all: a refused archive (invalid_argument) leaves nothing. Resolves to the ids. */
  load(source: ArchiveSource, options: LoadOptions): Promise<Digest[]>;
  /** All platforms of each that are here; only `platforms` where some are given. */
  save(
    names: readonly string[],
    signal: AbortSignal,
    platforms?: readonly Platform[],
  ): Promise<SavedArchive>;
  /**
   * For other machines to pull: the manifest it came with (`manifest`, of several) where that still fits, else one of
   * what is stored.
   */
  served(name: string, signal: AbortSignal, manifest?: Digest): Promise<ServedImage>;
  /** What else there is behind the name: its index, other platforms, what was kept. */
  servedIndex(name: string, signal: AbortSignal): Promise<ServedIndex>;
  /**
   * Asks the trust policy whether a container or a build may start from the image, used as `typed` (a name or an
   * id). Throws permission_denied, which names the rule and the remedy.
   */
  admit(typed: string, image: ImageRecord): Promise<void>;
  /** As `admit`, before somebody starts a container that is there: the name it was made from decides. */
  admitAgain(typed: string, imageId: Digest): Promise<void>;
  /** The policy as it is now. Throws failed_precondition when its file is wrong. */
  trustPolicy(): TrustReport;
  /** Images and other content as registries and layouts take it. */
  bundles(): Promise<Bundles>;
  /**
   * The tar at an address of http or https, for `import`, by way of the daemon's proxy. Throws invalid_argument for
   * another kind of address, not_found and unavailable as its server does.
   */
  fetchRoot(source: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /** One layer from a root file system's tar. Resolves to the id. */
  import(source: ArchiveSource, options: ImportOptions): Promise<Digest>;
  createFromLayer(request: CreateFromLayer): Promise<Digest>;
  /**
   * Makes what naru can assemble by itself: naru/hello (failed_precondition with the remedy where the host
   * has no static busybox). undefined for every other name. Calls at the same time share one run.
   */
  provide(name: string): Promise<Digest> | undefined;
  /** A minimal "debian:<codename>[-slim]" or "ubuntu:<codename>" from a package mirror; needs root. */
  bootstrap(target: string, options: BootstrapOptions): Promise<Digest>;
  /** The manifest that an image came with, or one made of its layers as they are stored (tars are made where there are none). */
  manifestOf(name: string, signal: AbortSignal): Promise<StoredManifest>;
  /**
   * Names an index over images that are here (see `register`), and manifests to be kept beside them. The images
   * need no names of their own: they stay as long as the index has one.
   */
  createIndex(request: NewIndex, signal: AbortSignal): Promise<CreatedIndex>;
  /** Rows for an image whose blobs and layers are stored, with its names ("repo:tag", "repo@digest"). */
  register(image: StoredImage, references: readonly string[]): Digest;
  /** Removes layers and blobs that no image, container or lease needs; for after containers were removed. */
  collect(): Promise<{ layers: number; reclaimedBytes: number }>;
  /** Reads again all that images stand on. Problems come as events; throws only what kept it from going on. */
  check(options: Omit<CheckOptions, "pull">): AsyncIterable<CheckEvent>;
  /**
   * To be run once at start, before any other call (`isLayerHeld` must answer truly): removes what a
   * killed daemon left half-made, and unpacks again from their blobs layers that a power cut took.
   */
  restore(): Promise<RestoreResult>;
}

export interface CheckOptions {
  readonly repairs: boolean;
  readonly signal?: AbortSignal;
  /** Fetches a name again; with `more`, also what is kept as it came (what refers to it, all that its index lists) and blobs. */
  readonly pull?: (
    name: string,
    platform?: Platform,
    more?: {
      readonly isAllPlatforms?: boolean;
      readonly hasReferrers?: boolean;
      readonly hasLayerBlobs?: boolean;
    },
  ) => Promise<void>;
}

export type CheckEvent =
  | {
      /** Now this is read. */
      readonly kind: "progress";
      readonly subject: "blob" | "layer" | "image";
      readonly id: string;
      readonly sizeBytes: number;
    }
  | {
      readonly kind: "problem";
      readonly subject: "blob" | "layer" | "image";
      readonly id: string;
      readonly problem: string;
      readonly outcome: "left" | "repaired" | "removed";
    };

export interface BootstrapOptions {
  readonly signal: AbortSignal;
  /** In place of the mirror of the host's apt sources. */
  readonly mirror?: string;
  /** One line of the tool's own words at a time. */
  readonly onLine?: (line: string) => void;
}

/** What this room needs to know of containers. */
export interface ImageUsers {
  /** Containers made from the image, or mounting it. */
  containersOf(imageId: Digest): readonly { readonly id: string; readonly isRunning: boolean }[];
  /** How many containers are made from each image; one that is absent has none. */
  containerCounts(): ReadonlyMap<string, number>;
  /** True when a container's root or a build's cache stands on the layer, whatever became of its image. */
  isLayerHeld(chainId: Digest): boolean;
}

export type ImageEvent = Omit<EventMessage, "time" | "timeNano" | "scope">;
