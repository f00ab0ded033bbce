/**
 * The client side of registries (distribution-spec 1.1): the manual of this room.
 *
 *     Remote ──repository(reference, credentials)──► Repository ──► manifests, blobs, uploads
 *
 * A `Repository` knows where its content may be had: the mirrors of its prefix in their order, then its own
 * registry. Reads try one place after the other; writes go to the registry alone. A place that failed is not
 * asked again by the same `Repository`.
 *
 * What holds for every call:
 * - **Content is what its digest says**, or the call throws data_loss. Sizes are checked as well.
 * - **Patience.** 429, 5xx and cut connections are tried again, `maxAttempts` times, with growing pauses or as
 *   Retry-After says. What was refused (401, 403, 404) is not. A registry that cannot be reached is `unavailable`.
 * - **Credentials** go to the registry they are for, and to the token server it names (`auth.ts` has the
 *   rules), over TLS unless the registry is insecure. Never to mirrors, never along a redirect to elsewhere.
 * - **Insecure** registries (loopback, and those of the configuration) may have any certificate or none.
 * - Errors name what was asked for: not_found, unauthenticated, permission_denied, resource_exhausted (429),
 *   unavailable, data_loss. `details.registryCode` has the registry's own code, such as MANIFEST_UNKNOWN.
 *
 * Nothing here holds the thread: bodies are streams for the caller to read. Whoever reads much does it in a
 * process of its own: `Remote.state()` and `createRemote(config, state)` carry what was learnt (tokens,
 * which hosts speak TLS) over to it. The state holds secrets: it is for pipes, never for files or arguments.
 */
import type { SearchItem } from "#spec/docker/image.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import type { Digest } from "#spec/image/digest.ts";
import type { Reference } from "#spec/image/reference.ts";

/** For a prefix of names ("ghcr.io", "docker.io/library", "docker.io/library/tool"); the longest one wins. */
export interface RegistryRule {
  /** Takes the prefix's place when content is fetched or pushed; the name stays. */
  readonly location?: string;
  /** URLs or hosts, with a path or without, asked in this order before the registry. */
  readonly mirrors?: readonly string[];
  /** Nothing is fetched from there or pushed there. */
  readonly blocked?: boolean;
  readonly insecure?: boolean;
}

/** As curl and Go have it: HTTP_PROXY, HTTPS_PROXY, NO_PROXY. */
export interface ProxyConfig {
  readonly http: string;
  readonly https: string;
  /** Comma list of hosts, domains, addresses and networks that are reached directly. */
  readonly none: string;
}

/** Plain data, so that it can be handed to another process. */
export interface RemoteConfig {
  /** URLs, for docker.io only: dockerd's `--registry-mirror`. */
  readonly mirrors: readonly string[];
  /** "host[:port]" or networks such as 10.0.0.0/8. Loopback needs no entry. */
  readonly insecure: readonly string[];
  /** Like `insecure`, loopback included only if it is named: registries that foreign layers may be pushed to. */
  readonly nondistributable: readonly string[];
  readonly rules: Readonly<Record<string, RegistryRule>>;
  /** Each may have `<host>/*.crt` (authorities) and `<host>/*.cert` with `*.key` (client certificates). */
  readonly certificateDirectories: readonly string[];
  readonly proxy: ProxyConfig;
  readonly maxAttempts: number;
}

export interface FetchedManifest {
  readonly descriptor: Descriptor;
  /** The exact bytes; their digest is `descriptor.digest`. */
  readonly text: string;
  /** "97 of 100 pulls left in 6 h", where the registry tells. */
  readonly rateLimit: string | undefined;
}

/** Bytes of a blob from `offset` on. Unverified: they are part of the whole only. */
export interface BlobBody {
  readonly stream: ReadableStream<Uint8Array>;
  /** 0 when the registry does not do ranges. */
  readonly offset: number;
  /** The mirror that sent it is asked for nothing more; false: it came from the registry itself. */
  passOver(): boolean;
}

/** An upload under way: bytes are appended in order; what is not finished or cancelled expires by itself. */
export interface Upload {
  /** What the registry has. */
  readonly offset: number;
  /** Appends; resolves when the registry has it. `body` may be asked for again after a failure. */
  append(body: () => Blob, sizeBytes: number, signal: AbortSignal): Promise<void>;
  /**
   * Appends what is still being made, until it ends (distribution-spec, "streamed"). `body` is asked for what comes
   * after `offset`, and again after a refusal that is answered with credentials.
   */
  stream(body: () => AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void>;
  /** Asks the registry what it has, after a failed `append`; sets `offset`. not_found: begin anew. */
  resume(signal: AbortSignal): Promise<void>;
  /** The blob exists afterwards. data_loss when the registry counted another digest. */
  finish(digest: Digest, signal: AbortSignal): Promise<void>;
  /** Failures are of no interest. */
  cancel(): Promise<void>;
}

export interface Repository {
  readonly reference: Reference;
  /** Layers that their makers let nobody pass on (`isUrlLayer`) may be pushed here: somebody said so. */
  readonly takesForeign: boolean;
  /** The digest behind a tag (or the digest itself) by HEAD; undefined where the registry does not tell. */
  resolve(tagOrDigest: string, signal: AbortSignal): Promise<Descriptor | undefined>;
  manifest(tagOrDigest: string, signal: AbortSignal): Promise<FetchedManifest>;
  openBlob(blob: Descriptor, offset: number, signal: AbortSignal): Promise<BlobBody>;
  /** Small blobs (configs), whole and verified. Larger than `maxBytes`: resource_exhausted. */
  blobText(blob: Descriptor, maxBytes: number, signal: AbortSignal): Promise<string>;
  /** All of them, however many pages. */
  tags(signal: AbortSignal): Promise<string[]>;
  /**
   * What refers to the manifest (signatures, attestations): by the referrers API, or the index under the tag
   * "sha256-<hex>" where the registry has none. Nothing: an empty list.
   */
  referrers(digest: Digest, signal: AbortSignal): Promise<readonly Descriptor[]>;

  hasBlob(digest: Digest, signal: AbortSignal): Promise<boolean>;
  hasManifest(digest: Digest, signal: AbortSignal): Promise<boolean>;
  /**
   * Begins an upload. With `mount` the registry may take the blob from another of its repositories: then
   * the blob exists and the answer is undefined.
   */
  upload(
    options: { readonly mount?: { readonly digest: Digest; readonly from: string } },
    signal: AbortSignal,
  ): Promise<Upload | undefined>;
  putManifest(
    tagOrDigest: string,
    mediaType: string,
    text: string,
    signal: AbortSignal,
  ): Promise<Digest>;
}

export interface LoginResult {
  /** To be kept in place of the password; "" where the registry gives none. */
  readonly identityToken: string;
}

/** Tokens and facts about hosts. Secret. */
export interface RemoteState {
  readonly tokens: readonly (readonly [key: string, token: string, expiresAtMs: number])[];
  readonly hosts: readonly (readonly [name: string, scheme: string, challenge: string])[];
}

export interface Remote {
  /** Throws permission_denied when a rule blocks the name. */
  repository(reference: Reference, credentials: AuthConfig): Repository;
  /** unauthenticated when the registry does not take the credentials. */
  login(credentials: AuthConfig, signal: AbortSignal): Promise<LoginResult>;
  /** The index's own search (Docker Hub's protocol, version 1). `term` may begin with a host. */
  search(
    term: string,
    limit: number,
    credentials: AuthConfig,
    signal: AbortSignal,
  ): Promise<SearchItem[]>;
  isInsecure(host: string): boolean;
  state(): RemoteState;
}
