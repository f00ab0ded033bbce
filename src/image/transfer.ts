/** What pulls, pushes and copies are asked and tell; part of the manual in `image.ts`. */
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
  /** Of an index; the host's when absent. A single image for another one is then refused (not_found). */
  readonly platform?: Platform;
  /** All that an index lists, attestations and other operating systems too (these are kept as they come). */
  readonly isAllPlatforms?: boolean;
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
