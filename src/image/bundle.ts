/**
 * Bundles: content that a registry or an OCI layout takes as one thing, a document and all that it speaks of. Builds
 * export images, attestations and caches so: in the media types, with the compression and the annotations asked for.
 *
 *     image(configText, format) ─┐
 *     layers(positions, format) ─┴─► documents and blobs ─► push(name) │ archive(names)
 *
 * A bundle keeps its blobs from being removed until it is disposed of. Layers that are compressed for it stay as
 * blobs beside their images, so that the next bundle finds them.
 */
import type { Compression } from "#image/compress.ts";
import type { SavedArchive } from "#image/archive-segment.ts";
import type { TransferOptions } from "#image/transfer.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import type { Digest } from "#spec/image/digest.ts";
import { digestOf } from "#spec/image/digest.ts";

export interface LayerFormat {
  readonly compression: Compression;
  readonly level: number | undefined;
  /** Also where the layer is here in another form. */
  readonly isForced: boolean;
  /** False: Docker's media types, where they have a word for it. */
  readonly isOci: boolean;
}

/** A file with a digest. */
export interface BundleBlob {
  readonly descriptor: Descriptor;
  readonly path: string;
}

/** Text with a digest: configs, statements; and manifests, which registries keep apart from blobs. */
export interface BundleDocument {
  readonly descriptor: Descriptor;
  readonly text: string;
  readonly isManifest: boolean;
}

export interface Bundle {
  /** What a tag will point at. It comes last among `documents`, each after those that it speaks of. */
  readonly root: Descriptor;
  readonly documents: readonly BundleDocument[];
  readonly blobs: readonly BundleBlob[];
}

/** A layer where it stands in the store. */
export interface LayerPosition {
  readonly chainId: Digest;
  readonly diffId: Digest;
}

export interface BundledLayer extends BundleBlob {
  readonly diffId: Digest;
}

export interface BundledLayers extends Disposable {
  readonly layers: readonly BundledLayer[];
}

export interface BundledImage extends Disposable {
  readonly bundle: Bundle;
  readonly layers: readonly BundledLayer[];
}

export interface ImageFormat extends LayerFormat {
  /** Of the manifest. */
  readonly annotations: Readonly<Record<string, string>>;
}

export interface Bundles {
  /** Throws not_found for layers that are not unpacked here. */
  layers(
    positions: readonly LayerPosition[],
    format: LayerFormat,
    signal: AbortSignal,
  ): Promise<BundledLayers>;
  /** The image of a config, whose layers are unpacked here. */
  image(configText: string, format: ImageFormat, signal: AbortSignal): Promise<BundledImage>;
  /** Under the tag of `name`, or by its own digest, once the registry has all the rest. */
  push(name: string, bundle: Bundle, options: TransferOptions): Promise<void>;
  /**
   * Makes the images of a bundle (their layers are here) images of this machine, with its index and what it lists. The
   * names ("repo:tag", "repo@digest") stand for the root. Resolves to the id of the main image.
   */
  store(bundle: Bundle, references: readonly string[]): Digest;
  /** An OCI layout; as `docker`, a Docker archive as well, where the root is one image's manifest. */
  archive(bundle: Bundle, names: readonly string[], kind: "oci" | "docker"): SavedArchive;
  /** The document under a name ("repo:tag", "repo@digest"). */
  fetchDocument(
    name: string,
    credentials: AuthConfig,
    signal: AbortSignal,
  ): Promise<{ readonly text: string; readonly descriptor: Descriptor }>;
  /** A blob of the repository, unverified: whoever reads it compares. */
  fetchBlob(
    name: string,
    blob: Descriptor,
    credentials: AuthConfig,
    signal: AbortSignal,
  ): Promise<ReadableStream<Uint8Array>>;
}

export const documentOf = (
  text: string,
  mediaType: string,
  isManifest: boolean,
  extra: Partial<Descriptor> = {},
): BundleDocument => ({
  descriptor: { mediaType, digest: digestOf(text), size: Buffer.byteLength(text), ...extra },
  text,
  isManifest,
});
