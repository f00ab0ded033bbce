/** Indexes as they are made, and as they are given away; part of the manual in `image.ts`. */
import type { ServedImage } from "#image/image.ts";
import type { Digest } from "#spec/image/digest.ts";
import type { Platform } from "#spec/image/platform.ts";

export interface StoredManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
  /** Its exact bytes. */
  readonly text: string;
}

/** An image that is here, or a manifest that is kept as it is (an attestation), with those of its blobs that are new. */
export type NewIndexMember = {
  readonly platform?: Platform;
  readonly annotations?: Readonly<Record<string, string>>;
} & (
  | { readonly image: Digest }
  | { readonly manifest: string; readonly blobs: readonly (string | Uint8Array)[] }
);

export interface NewIndex {
  /** In the index's order: images first, then what is kept. */
  readonly members: readonly NewIndexMember[];
  readonly references: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface CreatedIndex {
  readonly digest: Digest;
  readonly text: string;
  /** The main image: what the names stand for without a wish. */
  readonly imageId: Digest;
}

/** What a name stands for beyond one image, in the form of a registry. */
export interface ServedIndex {
  /** What the name answers with; undefined: its image, or `only`. Of an index of which parts are missing, one without them. */
  readonly answer?: StoredManifest;
  /** The single image that is here of an index. */
  readonly only?: ServedImage;
  /** Indexes, and manifests that were kept as they came. */
  readonly documents: readonly StoredManifest[];
  readonly images: readonly ServedImage[];
  /** Those of `documents` that refer to others. */
  readonly referrers: readonly Digest[];
  /** Those of `documents` that a tag attaches to others ("sha256-….sig"). */
  readonly attached: readonly { readonly tag: string; readonly digest: Digest }[];
  /** Of kept manifests. */
  readonly blobs: readonly {
    readonly digest: Digest;
    readonly sizeBytes: number;
    readonly path: string;
  }[];
}
