/** Docker Engine API: images (wire spelling kept). */
import type { ContainerConfig } from "#spec/docker/container-config.ts";

/** A descriptor as its index has it: OCI's spelling. */
export type OciDescriptor = Readonly<Record<string, unknown>>;

/** One manifest of an image, API 1.47. */
export interface ManifestSummary {
  readonly ID: string;
  readonly Descriptor: OciDescriptor;
  /** All of it is here. */
  readonly Available: boolean;
  readonly Size: {
    /** Manifest, config and blobs that are here, as they are stored. */
    readonly Content: number;
    /** Content and unpacked files. */
    readonly Total: number;
  };
  readonly Kind: "image" | "attestation" | "unknown";
  readonly ImageData?: {
    readonly Platform: Readonly<Record<string, string>>;
    /** Ids of the containers that were made from it. */
    readonly Containers: readonly string[];
    readonly Size: { readonly Unpacked: number };
  };
  readonly AttestationData?: { readonly For: string };
}

/** One element of GET /images/json. */
export interface ImageSummary {
  Id: string;
  ParentId: string;
  RepoTags: string[];
  RepoDigests: string[];
  /** Seconds since the epoch. */
  Created: number;
  Size: number;
  /** -1 = not computed. */
  SharedSize: number;
  /** Only below API 1.44. */
  VirtualSize?: number;
  Labels: Record<string, string> | null;
  /** -1 = not computed. */
  Containers: number;
  /** What its first name stands for; API 1.48. */
  Descriptor?: OciDescriptor;
  /** Where asked for; API 1.47. */
  Manifests?: readonly ManifestSummary[];
}

/** GET /images/{name}/json. */
export interface ImageInspect {
  Id: string;
  RepoTags: string[];
  RepoDigests: string[];
  Parent: string;
  Comment: string;
  Created: string;
  DockerVersion: string;
  Author: string;
  /** What it was committed from; until API 1.44. */
  Container?: string;
  ContainerConfig?: Partial<ContainerConfig>;
  Config: Partial<ContainerConfig>;
  Architecture: string;
  Variant?: string;
  Os: string;
  Size: number;
  VirtualSize?: number;
  GraphDriver: { Name: string; Data: Record<string, string> | null };
  RootFS: { Type: "layers"; Layers: string[] };
  Metadata: { LastTagTime: string };
  /** What the name stands for; API 1.48. */
  Descriptor?: OciDescriptor;
  /** Where asked for; API 1.48. */
  Manifests?: readonly ManifestSummary[];
}

/** One element of GET /images/{name}/history, newest first. */
export interface HistoryItem {
  Id: string;
  Created: number;
  CreatedBy: string;
  Tags: string[] | null;
  Size: number;
  Comment: string;
}

/** One element of the answer to DELETE /images/{name}. */
export type DeleteItem = { Untagged: string } | { Deleted: string };

/** GET /distribution/{name}/json. */
export interface DistributionInspect {
  readonly Descriptor: {
    readonly mediaType: string;
    readonly digest: string;
    readonly size: number;
  };
  /** As the index has them, or the image's config. */
  readonly Platforms: readonly Readonly<Record<string, unknown>>[];
}

/** An image of a manifest list. */
export interface IndexEntryBody {
  readonly Ref: string;
  readonly Digest: string;
  readonly Platform: {
    readonly os: string;
    readonly architecture: string;
    readonly variant?: string;
    readonly osVersion?: string;
    readonly osFeatures?: readonly string[];
  };
}

/** GET /naru/manifests/{name}. */
export interface RemoteManifestBody {
  readonly Digest: string;
  readonly MediaType: string;
  readonly Size: number;
  readonly Platform?: IndexEntryBody["Platform"];
  /** The document's exact text. */
  readonly Text: string;
}

export interface TrustRuleBody {
  readonly Prefix: string;
  /** "allow", "block" or "signed". */
  readonly Action: string;
  readonly Reason: string;
  readonly Keys: readonly {
    readonly Path: string;
    readonly Kind: string;
    readonly Fingerprint: string;
  }[];
}

/** GET /naru/trust. */
export interface TrustPolicyBody {
  readonly Path: string;
  readonly IsPresent: boolean;
  readonly Rules: readonly TrustRuleBody[];
}

export interface TrustFindingBody {
  readonly IsAllowed: boolean;
  readonly Text: string;
  readonly Digest: string;
}

/** GET /naru/trust/{name}. */
export interface TrustCheckBody {
  readonly Name: string;
  readonly Path: string;
  readonly Rule: TrustRuleBody;
  /** Absent when no such image is here. */
  readonly Here?: TrustFindingBody;
  readonly AtRegistry: TrustFindingBody;
}

/** One item of GET /images/search. */
export interface SearchItem {
  readonly name: string;
  readonly description: string;
  readonly star_count: number;
  readonly is_official: boolean;
  readonly is_automated: boolean;
}
