/**
 * Low-level builds (LLB): graphs of operations that clients make themselves, without a Dockerfile.
 *
 *     definition ─spec/buildkit/llb.ts─► graph ─solve.ts─► source | exec | file | merge | diff ─► layers
 *
 * Every output of an operation is a tree of layers, known by its chainID. Operations run as vertices of the same
 * solver as a Dockerfile's, so their results are in the same cache, and equal ones run once. What is read from
 * outside (a client's directory, a URL, a repository) becomes a layer first, by its content.
 *
 * The op build solves a definition that lies in one of its inputs, in the same way. A definition may also come from a
 * frontend: the program of an image (frontend.ts), which asks for all that it does over the gateway.
 *
 * Refused by name: required devices, differences between trees
 * that do not stand on each other, sources that are not listed in sources.ts.
 */
import type { BuildContext } from "#build/context.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";
import type { ResultFiles } from "#build/result-files.ts";
import type { ExecMount, SecretEnv } from "#spec/buildkit/llb.gen.ts";
import type { LlbGraph } from "#spec/buildkit/llb.ts";
import type { RunStdio, Stdio } from "#runtime/runtime.ts";
import type { Platform } from "#spec/image/platform.ts";
import type { ContainerConfig } from "#spec/docker/container-config.ts";
import type { Digest } from "#spec/image/digest.ts";
import type { TransferEvent } from "#image/transfer.ts";

export interface LocalSource {
  /** As the client named the directory. */
  readonly directory: string;
  /** undefined: the build's own. */
  readonly session: string | undefined;
  readonly includePatterns: readonly string[];
  readonly excludePatterns: readonly string[];
  readonly followPaths: readonly string[];
}

/** What a graph reads from its client. What is handed out is the caller's to dispose of after the build. */
export interface LlbClient {
  local(source: LocalSource): Promise<BuildContext>;
  /** undefined: there is none. */
  secret(id: string): Promise<Uint8Array | undefined>;
  /** Path of a socket on this host; undefined: there is none. */
  sshSocket(id: string): Promise<string | undefined>;
  /** Layers of an image in the client's own content store. */
  layout(store: string, digest: Digest): Promise<Digest | undefined>;
  credentials(image: string): Promise<ReadonlyMap<string, AuthConfig>>;
}

export type LlbEvent =
  | { readonly kind: "start"; readonly digest: string }
  | {
      readonly kind: "output";
      readonly digest: string;
      readonly stream: 1 | 2;
      readonly bytes: Uint8Array;
    }
  | { readonly kind: "transfer"; readonly digest: string; readonly transfer: TransferEvent }
  | { readonly kind: "done"; readonly digest: string; readonly isCached: boolean }
  | { readonly kind: "failed"; readonly digest: string; readonly message: string };

export interface LlbRequest {
  readonly graph: LlbGraph;
  readonly client: LlbClient;
  /** Asked for by the client; refused where the daemon does not grant one. */
  readonly entitlements: readonly string[];
  readonly signal: AbortSignal;
  readonly onEvent: (event: LlbEvent) => void | Promise<void>;
}

/** A frontend's program at work: see frontend.ts. */
export interface FrontendRun {
  /** For people: the image. */
  readonly name: string;
  readonly chainId: Digest | undefined;
  readonly config: Partial<Pick<ContainerConfig, "Env" | "Entrypoint" | "WorkingDir" | "User">>;
  /** Beside the image's own. */
  readonly env: readonly string[];
  /** What the frontend itself was made of: LLB. */
  readonly definition: Uint8Array;
  readonly hasNetwork: boolean;
  /** Called once, when the program can be spoken to. */
  readonly onConnected: (stdio: RunStdio) => void;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** A container that a build starts beside its steps, to look into what it made. */
export interface ContainerRequest {
  /** For people. */
  readonly name: string;
  /** One of them at "/". What is written to them is gone with the container. */
  readonly mounts: readonly { readonly mount: ExecMount; readonly tree: Digest | undefined }[];
  /** As an op says it: 0 a network of its own, 1 the host's, 2 none. */
  readonly network: number;
  /** "name:address". */
  readonly extraHosts: readonly string[];
  /** "" for that of steps. */
  readonly hostname: string;
  /** Other than the host's: programs of it are emulated. */
  readonly platform?: Platform;
  readonly client: Pick<LlbClient, "secret" | "sshSocket">;
  readonly entitlements: readonly string[];
  /** Ends the waiting for what its mounts need. */
  readonly signal: AbortSignal;
}

export interface ContainerProcessRequest {
  readonly args: readonly string[];
  readonly env: readonly string[];
  /** "" for that of root. */
  readonly user: string;
  /** "" for "/". */
  readonly workingDir: string;
  readonly isTty: boolean;
  readonly hasStdin: boolean;
  /** As an op says it: 1 is insecure. */
  readonly security: number;
  readonly secretEnv: readonly SecretEnv[];
}

export interface ContainerProcess {
  /** To be closed by who started it. */
  readonly stdio: Stdio;
  /** Rejects for one that did not start, with the runtime's reason. */
  readonly exited: Promise<number>;
  /** Nothing where there is no terminal, or no process any more. */
  resize(size: { height: number; width: number }): void;
  signal(number: number): void;
}

/**
 * The first process is the container's own: the others are within it, and end with it. Disposing ends all of them and
 * removes what the container had on the host.
 */
export interface BuildContainer extends AsyncDisposable {
  /** Throws invalid_argument, permission_denied, and failed_precondition where the container is over. */
  start(request: ContainerProcessRequest): Promise<ContainerProcess>;
  /** As they are now, at the mount of that place in the request. Throws out_of_range. */
  files(mountIndex: number): ResultFiles;
}

/** Names layers of this daemon as a source: what a result is given back as. */
export const LAYERS_SCHEME = "naru-layers";

/** An attribute of such a source: why there are no layers. */
export const LAYERS_FAILURE = "failure";
