/** An image's row as a value. */
import type { ImageRow } from "#metadata/images.ts";
import { type ImageConfig, parseStoredConfig } from "#spec/image/config.ts";
import type { Digest } from "#spec/image/digest.ts";

export interface StoredImage {
  readonly id: Digest;
  readonly config: string;
  readonly parent: Digest | null;
  readonly manifest_digest: Digest | null;
  readonly size_bytes: number;
  readonly stored_at: string;
  readonly last_tagged_at: string | null;
}

/** Parses the config at first use: a start with many images pays only for those asked for. */
export class Row implements ImageRow {
  readonly id: Digest;
  readonly configText: string;
  readonly parent?: Digest;
  readonly manifestDigest?: Digest;
  readonly sizeBytes: number;
  readonly storedAt: string;
  readonly lastTaggedAt?: string;
  #config: ImageConfig | undefined;

  constructor(row: Omit<ImageRow, "config">) {
    this.id = row.id;
    this.configText = row.configText;
    if (row.parent !== undefined) this.parent = row.parent;
    if (row.manifestDigest !== undefined) this.manifestDigest = row.manifestDigest;
    this.sizeBytes = row.sizeBytes;
    this.storedAt = row.storedAt;
    if (row.lastTaggedAt !== undefined) this.lastTaggedAt = row.lastTaggedAt;
  }

  withTagTime(at: string): Row {
    return new Row({
      id: this.id,
      configText: this.configText,
      ...(this.parent === undefined ? {} : { parent: this.parent }),
      ...(this.manifestDigest === undefined ? {} : { manifestDigest: this.manifestDigest }),
      sizeBytes: this.sizeBytes,
      storedAt: this.storedAt,
      lastTaggedAt: at,
    });
  }

  get config(): ImageConfig {
    this.#config ??= parseStoredConfig(this.configText);
    return this.#config;
  }
}

export const fromStored = (stored: StoredImage): Row =>
  new Row({
    id: stored.id,
    configText: stored.config,
    ...(stored.parent === null ? {} : { parent: stored.parent }),
    ...(stored.manifest_digest === null ? {} : { manifestDigest: stored.manifest_digest }),
    sizeBytes: stored.size_bytes,
    storedAt: stored.stored_at,
    ...(stored.last_tagged_at === null ? {} : { lastTaggedAt: stored.last_tagged_at }),
  });
