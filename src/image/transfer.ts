/** What pulls, pushes and copies are asked and tell; part of the manual in `image.ts`. */
import type { ExportedArchive } from "#image/archive-segment.ts";
import type { ArchiveSource } from "#image/image.ts";
import type { TrustCheck } from "#image/trust-report.ts";
import type { DistributionInspect, SearchItem } from "#spec/docker/image.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";
import type { Digest } from "#spec/image/digest.ts";
import type { Platform } from "#spec/image/platform.ts";

/** One line of a pull or push, in Docker's words ("Downloading", "Pull complete"). */
export interface TransferEvent {
  readonly status: string;
  /** Short digest of the layer, or the tag. */
  readonly id?: string;
  readonly current?: number;
  readonly total?: number;
  /** Facts for programs: what was pushed. */
  readonly aux?: unknown;
}

export interface TransferOptions {
  readonly credentials: AuthConfig;
  readonly onEvent: (event: TransferEvent) => void;
  readonly signal: AbortSignal;
}

export interface PullOptions extends TransferOptions {
  /** Of an index; the host's when absent. A single image for another one is taken, and an event warns. */
  readonly platform?: Platform;
  /** All that an index lists, attestations and other operating systems too (these are kept as they come). */
  readonly isAllPlatforms?: boolean;
  /** Also what refers to it (signatures, SBOMs), and the attestations of its platforms: kept as they come. */
  readonly hasReferrers?: boolean;
  /** Also the blobs of layers that are here already: in another form, or damaged. */
  readonly hasLayerBlobs?: boolean;
  /** Every tag of the repository. */
  readonly isAllTags: boolean;
}

export interface PushOptions extends TransferOptions {
  /** not_found when the image is for another one. */
  readonly platform?: Platform;
  /** Every tag that the repository has here. */
  readonly isAllTags: boolean;
}

export interface ExportOptions extends TransferOptions {
  /** Of an index this one only; all of it when absent. */
  readonly platform?: Platform;
  /** Also what refers to it: signatures, attestations. */
  readonly hasReferrers?: boolean;
}

export interface PublishOptions extends TransferOptions {
  /** Of an archive with several platforms this one only. */
  readonly platform?: Platform;
}

export interface CopyOptions extends TransferOptions {
  readonly targetCredentials: AuthConfig;
  /** Also what refers to it: signatures, attestations. */
  readonly hasReferrers?: boolean;
  /** Of an index this one only; all of it when absent. */
  readonly platform?: Platform;
}

export interface RemoteManifest {
  readonly text: string;
  readonly mediaType: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Of a single image. */
  readonly platform?: Platform;
}

export interface IndexEntry {
  readonly reference: string;
  readonly digest: Digest;
  readonly platform: Platform;
}

export interface ManifestOptions {
  readonly credentials: AuthConfig;
  readonly signal: AbortSignal;
  /** Its registry may have any certificate, or no TLS, this once. */
  readonly isInsecure: boolean;
}

/** What images do with registries. */
export interface ImageTransfers {
  /**
   * Fetches `reference` from its registry (or a mirror), layers side by side, and names it. Nothing is visible
   * until all of it is here; what was fetched of a failed pull is kept for the next one. Pulls that want the
   * same layer at the same time share it. Errors are the registry's, in Docker's words.
   */
  pull(reference: string, options: PullOptions): Promise<void>;
  /**
   * Sends `reference` to its registry: layers it has not, the config, the manifest under the tag. What came
   * from a registry is sent byte for byte; other layers are compressed on the way. not_found without such a
   * name here.
   */
  push(reference: string, options: PushOptions): Promise<void>;
  /** From registry to registry, every byte as it is. The store here is not changed. */
  copy(source: string, target: string, options: CopyOptions): Promise<void>;
  /** What a registry has under a name as an OCI archive, which docker load takes too. The store is not changed. */
  exportRemote(name: string, options: ExportOptions): Promise<ExportedArchive>;
  /** The one image of an archive to a registry, as it is; layers of a Docker archive are compressed on the way. */
  publish(target: string, source: ArchiveSource, options: PublishOptions): Promise<void>;
  /** The manifest a registry has under a name, as it is. */
  manifest(name: string, options: ManifestOptions): Promise<RemoteManifest>;
  /** Writes an index under `target`'s tag; images that its repository has not are copied there first. */
  pushIndex(
    target: string,
    entries: readonly IndexEntry[],
    options: TransferOptions & Pick<ManifestOptions, "isInsecure">,
  ): Promise<void>;
  /** unauthenticated when the registry does not take the credentials. */
  login(credentials: AuthConfig, signal: AbortSignal): Promise<{ readonly identityToken: string }>;
  /** What a registry has under a name, without fetching it. */
  distribution(
    name: string,
    credentials: AuthConfig,
    signal: AbortSignal,
  ): Promise<DistributionInspect>;
  search(
    term: string,
    limit: number,
    credentials: AuthConfig,
    signal: AbortSignal,
  ): Promise<SearchItem[]>;
  /** What the policy says of a name, of the image under it here, and of the one at its registry. */
  checkTrust(name: string, credentials: AuthConfig, signal: AbortSignal): Promise<TrustCheck>;
}
