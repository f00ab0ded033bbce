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
import type { LlbGraph } from "#spec/buildkit/llb.ts";
import type { RunStdio } from "#runtime/runtime.ts";
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

/** Names layers of this daemon as a source: what a result is given back as. */
export const LAYERS_SCHEME = "naru-layers";
