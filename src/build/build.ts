/**
 * Images out of Dockerfiles: the manual of this room.
 *
 *     text ─spec/dockerfile─► a plan: the stages that the target needs, each step with its values
 *          ─stage.ts─► vertices (op/exec, op/copy, op/workdir) ─solver.ts─► layers ─export.ts─► image
 *
 * A *vertex* is one instruction that makes files. It is known by its key: the digest of its definition, of
 * the layers below it, and of the content it reads (mode, owner, bytes; never times). The solver looks the
 * key up in the cache; a hit is the chainID of layers in the snapshot store, a miss runs the op on a
 * writable snapshot and commits it without copying. Equal vertices of builds at the same time run once.
 * All stages that are needed start at once, and wait for each other only where one reads another.
 *
 * A build belongs to its caller: when `signal` aborts, its processes are killed and its files removed. What
 * was finished until then stays in the cache. A killed daemon leaves bundles, writable snapshots and
 * contexts: `sweep` of the next one removes them.
 *
 * Errors: DockerfileError (invalid_argument with line, column and code frame) for the text; BuildStepError
 * for a step that failed; NaruError else. Secrets are in the environment or on a tmpfs of their step alone:
 * never in a layer, a key, the history or an event.
 */
import type { Inventory } from "#build/attest/scan.ts";
import type { CacheBundle, CacheExportOptions } from "#build/cache-export.ts";
import type { BuildContext } from "#build/context.ts";
import type { BuildHistory } from "#build/history.ts";
import type { ContextTree } from "#build/kept-context.ts";
import type { BuildContainer, ContainerRequest, FrontendRun, LlbRequest } from "#build/llb/llb.ts";
import type { ResultFiles } from "#build/result-files.ts";
import type { StepNetwork } from "#build/op/exec.ts";
import type { Attestation } from "#image/bundle-index.ts";
import type { TransferEvent } from "#image/transfer.ts";
import type { FileKernel } from "#kernel/kernel.ts";
import type { BodyState } from "#spec/http/body-decoder.ts";
import { NaruError } from "#lib/errors.ts";
import type { Resources } from "#spec/docker/host-config.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import type { Digest } from "#spec/image/digest.ts";
import type { Platform } from "#spec/image/platform.ts";

/** Asked when a step needs one; undefined: the client has none such. */
export type SecretSource = (id: string) => Promise<Uint8Array | undefined>;

export interface BuildRequest {
  /** Owned by the caller, who disposes of it after the build. */
  readonly context: BuildContext;
  /** Text of the Dockerfile. */
  readonly dockerfile: string;
  /** A stage's name or number; the last stage when absent. */
  readonly target: string | undefined;
  /** undefined: named without a value; the client had none. */
  readonly buildArgs: ReadonlyMap<string, string | undefined>;
  readonly labels: Readonly<Record<string, string>>;
  /** "repo[:tag]"; checked before any work. */
  readonly tags: readonly string[];
  readonly platform: Platform | undefined;
  readonly isCacheIgnored: boolean;
  /** Images are looked for in their registries also where they are here. */
  readonly isPulled: boolean;
  /** By registry, as a client's config.json has them. */
  readonly credentials: ReadonlyMap<string, AuthConfig>;
  /** Stages (names or numbers) whose steps run whatever the cache has. */
  readonly uncachedStages: readonly string[];
  readonly network: StepNetwork;
  /** Asked for by the client; refused where the daemon does not grant one. None where absent. */
  readonly entitlements?: readonly string[];
  /** "name:address". */
  readonly extraHosts: readonly string[];
  readonly resources: Partial<Resources> & { readonly ShmSize?: number };
  /** By name: an image ("docker-image://…") or a tree that came with the request. */
  readonly namedContexts: ReadonlyMap<string, NamedContext>;
  readonly secrets: SecretSource;
  /** Agent sockets on this host by id. */
  readonly sshSockets: ReadonlyMap<string, string>;
  /** Seconds since the epoch: what image, history and newer files say of when they were made. */
  readonly sourceDateEpoch: number | undefined;
  /**
   * As clients of the classic endpoint expect: keeps the finished steps' images under no name, and tells the
   * image's history in the classic builder's words.
   */
  readonly keepsStepImages: boolean;
  /** Asked for steps that are not in the engine's own cache, one after the other. */
  readonly imports?: readonly ImportedCache[];
  /**
   * Images that are here and were built elsewhere: their history says what a step of the same words on top of the
   * same layers gave. As the classic builder's `--cache-from`.
   */
  readonly cacheImages?: readonly string[];
  readonly signal: AbortSignal;
  /** Told in the order of events; the build waits while a promise that this gave is pending. */
  readonly onEvent: (event: BuildEvent) => void | Promise<void>;
}

/** Where a cache lies: a registry, an OCI layout of a client. */
export interface CacheSource {
  readonly name: string;
  /** Its manifest or index, or that of `digest`. */
  document(
    digest: Digest | undefined,
    signal: AbortSignal,
  ): Promise<{ readonly text: string; readonly mediaType: string }>;
  /** Bytes that nobody has compared with the digest yet. */
  blob(blob: Descriptor, signal: AbortSignal): Promise<ReadableStream<Uint8Array>>;
}

/** What a step once gave elsewhere. */
export interface ImportedStep {
  readonly createdAt: string;
  readonly description: string;
  readonly hasLayer: boolean;
  /** Lowest first. */
  readonly layers: readonly { readonly blob: Descriptor; readonly diffId: Digest }[];
  readonly source: CacheSource;
}

export interface ImportedCache {
  readonly name: string;
  readonly steps: ReadonlyMap<Digest, ImportedStep>;
  /** All that it has, also what only other builders can find. */
  readonly records: number;
}

/** Where a build took something from that is not its own context: a package URL, an address. */
export interface Material {
  readonly uri: string;
  readonly digest: Readonly<Record<string, string>>;
}

/** A step that was run or found: what a cache for others is made of. */
export interface SolvedStep {
  readonly key: Digest;
  readonly chainId: Digest | undefined;
  readonly createdAt: string;
  readonly description: string;
  readonly hasLayer: boolean;
  /** Of a stage that the result was built on. */
  readonly isOfResult: boolean;
}

/** The rest of a context's bytes, on a connection that a child reads from by itself. */
export interface LentSource {
  /** Non-blocking; valid until the next await. */
  readonly fd: number;
  /** Where HTTP's framing of the bytes stands there. */
  readonly state: BodyState;
  /** What came before these. */
  readonly early: readonly Uint8Array[];
  /** Once. `rest`: bytes that were read beyond the end. "cut short": they ended too early, and nobody waits any more. */
  giveBack(rest: Uint8Array | "unread" | "cut short"): void;
}

/** A context as it comes in. */
export interface ContextSource extends AsyncIterable<Uint8Array> {
  /** Instead of reading on; undefined where that cannot be. */
  lend?(): Promise<LentSource | undefined>;
}

export type NamedContext =
  | { readonly kind: "image"; readonly reference: string }
  | { readonly kind: "tree"; readonly context: BuildContext };

/** One instruction, in the order of the Dockerfile. */
export interface StepInfo {
  readonly index: number;
  /** As written, on one line: "RUN apt-get update". */
  readonly text: string;
  /** Name or number of its stage; undefined for ARGs before the first FROM. */
  readonly stage: string | undefined;
  /** Line in the Dockerfile, from 1. */
  readonly line: number;
}

export type BuildEvent =
  /** The first event: all steps that the target needs. */
  | { readonly kind: "plan"; readonly steps: readonly StepInfo[] }
  | { readonly kind: "start"; readonly step: number }
  /** A process or a copy begins; `id` is that of its writable snapshot. */
  | { readonly kind: "run"; readonly step: number; readonly id: string; readonly why: string }
  | {
      readonly kind: "output";
      readonly step: number;
      readonly stream: 1 | 2;
      readonly bytes: Uint8Array;
    }
  /**
   * A trigger of the base (ONBUILD) begins within its FROM, or has ended where `isCached` says how; what it says and
   * what becomes of it is told of the FROM.
   */
  | {
      readonly kind: "trigger";
      readonly step: number;
      /** "ONBUILD RUN make". */
      readonly text: string;
      /** From 1. */
      readonly number: number;
      readonly total: number;
      readonly isCached?: boolean;
    }
  /** An image that the step needs is fetched. */
  | { readonly kind: "transfer"; readonly step: number; readonly transfer: TransferEvent }
  | {
      readonly kind: "done";
      readonly step: number;
      readonly isCached: boolean;
      /** The image as it is after this step; undefined for what makes none. */
      readonly imageId: Digest | undefined;
      readonly durationMs: number;
    }
  | { readonly kind: "failed"; readonly step: number; readonly message: string }
  | { readonly kind: "unused-args"; readonly names: readonly string[] };

export interface BuildResult {
  readonly imageId: Digest;
  /** Familiar form of the tags that point at it now. */
  readonly tags: readonly string[];
  /** chainID of its files; undefined for none. */
  readonly chainId: Digest | undefined;
  readonly platform: Platform;
  readonly solved: readonly SolvedStep[];
  readonly materials: readonly Material[];
  /** Text of the Dockerfile. */
  readonly dockerfile: string;
  /** Of the same build for further platforms, where a caller puts them together. */
  readonly others?: readonly BuildResult[];
  /** By who made it, beside what the engine attests. */
  readonly attested?: readonly Attestation[];
  /** The image was on this machine before: somebody may be using it. */
  readonly wasHere?: boolean;
}

export interface LayerToImport {
  /** What the bytes must sum up to without their compression. */
  readonly diffId: Digest;
  /** Called when the layer is not here. */
  readonly read: () => AsyncGenerator<Uint8Array, void>;
}

/** A record as `docker builder du` and `system df` list it. */
export interface BuildCacheItem {
  readonly id: string;
  readonly parent: string;
  readonly kind: "regular" | "exec.cachemount" | "source.local";
  readonly description: string;
  readonly isInUse: boolean;
  readonly isShared: boolean;
  readonly sizeBytes: number;
  readonly createdAt: string;
  readonly lastUsedAt: string;
  readonly useCount: number;
}

export interface PruneOptions {
  /** Also what images still stand on. */
  readonly isAll: boolean;
  /** Removes the least recently used until no more than this is left. */
  readonly keepBytes: number | undefined;
  /** Removes likewise until so much of the disk is free, but never below `keepBytes`. */
  readonly minFreeBytes?: number;
  /** Not used since this instant (RFC 3339). */
  readonly unusedSince: string | undefined;
  /** Ids; none = any. */
  readonly ids: readonly string[];
  /** "regular", "exec.cachemount", "source.local"; none = any. */
  readonly kinds: readonly string[];
}

export interface Builds {
  /** Builds that are over, as clients look back on them. */
  readonly history: BuildHistory;
  /** For reading files of contexts. */
  readonly kernel: FileKernel;
  build(request: BuildRequest): Promise<BuildResult>;
  /** What "host-gateway" stands for in extra hosts. */
  hostGateway(): string;
  /** A graph of operations in place of a Dockerfile: see llb/llb.ts. `held` keeps the layers until it is disposed of. */
  solveLlb(request: LlbRequest, held: DisposableStack): Promise<Digest | undefined>;
  /** Runs the program of an image that makes definitions, to its end. Throws failed_precondition with its last words. */
  runFrontend(run: FrontendRun): Promise<void>;
  /** A container beside the steps, the caller's to dispose of. Throws permission_denied for what is not granted. */
  openContainer(request: ContainerRequest): Promise<BuildContainer>;
  /** Layers as an image without a name; `configText` is JSON of an image's config, "" for none. */
  imageOf(chainId: Digest | undefined, configText: string, createdAt?: string): BuildResult;
  /** An image from elsewhere without a name, its layers lowest first; those that are here are not read. */
  importLayers(
    configText: string,
    layers: readonly LayerToImport[],
    signal: AbortSignal,
  ): Promise<BuildResult>;
  /**
   * Unpacks a tar, compressed or not. The context is the caller's to dispose of. With `key` (a digest in hex), the tree
   * stays for the next context of that key, of which then only what differs is written.
   */
  receiveContext(source: ContextSource, signal: AbortSignal, key?: string): Promise<BuildContext>;
  /** A git repository ("https://host/x.git#ref:dir") or a URL of a tar or a Dockerfile. */
  fetchContext(remote: string, signal: AbortSignal): Promise<BuildContext>;
  /**
   * A tree for files that a client sends by itself; see kept-context.ts. With `key` (a digest in hex) the tree of
   * the last build with that key, unless another build has it now; without one it goes with its build.
   */
  contextTree(key: string | undefined): Promise<ContextTree>;
  /** The files of a result's layers, the caller's to dispose of. */
  resultFiles(chainId: Digest | undefined): ResultFiles;
  /**
   * Text of the Dockerfile at `path`. Takes it and .dockerignore out of the context where the latter names
   * them: clients send both all the same. Throws invalid_argument when there is none.
   */
  readDockerfile(context: BuildContext, path: string): string;
  /** The files of layers as a tar, read as it is asked for. Disposing unmounts them. */
  exportTree(
    chainId: Digest | undefined,
  ): { readonly tar: ReadableStream<Uint8Array> } & Disposable;
  /** Reads a cache's document. Throws what its source throws, and invalid_argument for what is no cache. */
  openCache(source: CacheSource, signal: AbortSignal): Promise<ImportedCache>;
  /** The steps of a build as a cache for others. */
  exportCache(
    result: BuildResult,
    options: CacheExportOptions,
    signal: AbortSignal,
  ): Promise<CacheBundle>;
  /** Another image, without a name: the result's with the steps that it stands on in its config. */
  inlineCache(result: BuildResult): BuildResult;
  /** What package managers say is installed in a result. */
  scan(chainId: Digest | undefined, signal: AbortSignal): Promise<Inventory>;
  usage(): Promise<readonly BuildCacheItem[]>;
  prune(options: PruneOptions): Promise<{ deleted: string[]; reclaimedBytes: number }>;
  /** True while a running build stands on the layer. */
  isLayerHeld(chainId: Digest): boolean;
}

/** A command that failed, and the layers that it began with. */
export interface FailedProcess {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly user: string;
  readonly parent: Digest | undefined;
}

/** A step ended in failure. `message` is in the words of Docker's classic builder. */
export class BuildStepError extends NaruError {
  readonly step: StepInfo;
  /** Of the process; undefined where none ran. */
  readonly exitCode: number | undefined;
  readonly process: FailedProcess | undefined;

  constructor(
    step: StepInfo,
    message: string,
    exitCode: number | undefined,
    cause?: unknown,
    process?: FailedProcess,
  ) {
    super("failed_precondition", message, {
      details: {
        step: step.text,
        line: step.line,
        ...(exitCode === undefined ? {} : { exitCode }),
      },
      ...(cause === undefined ? {} : { cause }),
    });
    this.name = "BuildStepError";
    this.step = step;
    this.exitCode = exitCode;
    this.process = process;
  }
}
