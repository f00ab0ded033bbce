/**
 * Rows about images: configs, names, sizes of layers, and which blobs hold a layer.
 *
 * Everything is kept in memory and read from there (a name is resolved on every `run`); every change
 * is committed to the database first. One instance per database: nobody else writes these tables.
 * Changes that belong together go into one `transaction`.
 */
import type { Database, Migration } from "#database/database.ts";
import {
  IMAGE_ATTACHED_MIGRATION,
  IMAGE_MANIFEST_MIGRATION,
  type ManifestRows,
  createManifestRows,
} from "#metadata/image-manifests.ts";
import { Row, type StoredImage, fromStored } from "#metadata/image-row.ts";
import type { ImageConfig } from "#spec/image/config.ts";
import type { Digest } from "#spec/image/digest.ts";
import { hexOf } from "#spec/image/digest.ts";

export const IMAGE_MIGRATIONS: readonly Migration[] = [
  {
    id: 10,
    sql: `
      CREATE TABLE images (
        id TEXT PRIMARY KEY,
        config TEXT NOT NULL,
        parent TEXT,
        manifest_digest TEXT,
        size_bytes INTEGER NOT NULL,
        stored_at TEXT NOT NULL,
        last_tagged_at TEXT
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE image_references (
        repository TEXT NOT NULL,
        tag TEXT NOT NULL DEFAULT '',
        digest TEXT NOT NULL DEFAULT '',
        image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
        PRIMARY KEY (repository, tag, digest)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX image_references_image ON image_references (image_id);
      CREATE TABLE image_layers (
        diff_id TEXT PRIMARY KEY,
        size_bytes INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE image_layer_blobs (
        diff_id TEXT NOT NULL REFERENCES image_layers (diff_id) ON DELETE CASCADE,
        digest TEXT NOT NULL,
        media_type TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        PRIMARY KEY (diff_id, digest)
      ) STRICT, WITHOUT ROWID;`,
  },
  IMAGE_MANIFEST_MIGRATION,
  IMAGE_ATTACHED_MIGRATION,
];

export interface ImageRow {
  /** Digest of `configText`. */
  readonly id: Digest;
  /** The config's exact bytes. */
  readonly configText: string;
  readonly config: ImageConfig;
  /** The image this one was made from on this machine (commit, build). */
  readonly parent?: Digest;
  /** The manifest it was pulled or loaded with, a blob in content. */
  readonly manifestDigest?: Digest;
  /** Sum of the unpacked layers. */
  readonly sizeBytes: number;
  readonly storedAt: string;
  readonly lastTaggedAt?: string;
}

/** Either a tag or a digest is set. */
export interface ReferenceRow {
  /** "docker.io/library/alpine". */
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: Digest;
  readonly imageId: Digest;
  /** The index that the name stands for; `imageId` is then the one of its images that is taken without a wish. */
  readonly target?: Digest;
}

export interface LayerBlobRow {
  readonly diffId: Digest;
  /** Equal to `diffId` when the blob is the plain tar. */
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
}

export interface ImageRows {
  readonly manifests: ManifestRows;
  get(id: Digest): ImageRow | undefined;
  list(): IterableIterator<ImageRow>;
  /** Ids whose hex starts with `prefix`; at most two are needed to know it is ambiguous. */
  withPrefix(prefix: string, limit: number): Digest[];
  /** Images whose `parent` is `id`. */
  children(id: Digest): Digest[];
  /** Adds the image, or keeps the stored row and fills in parent or manifest it did not have. */
  put(row: Omit<ImageRow, "config">): ImageRow;
  delete(id: Digest): void;

  findReference(repository: string, tag: string | undefined, digest?: Digest): Digest | undefined;
  reference(repository: string, tag: string | undefined, digest?: Digest): ReferenceRow | undefined;
  /** Of one image in order of name; of all images without `imageId`. */
  references(imageId?: Digest): readonly ReferenceRow[];
  /** Points the name at the image, away from another where it was; sets lastTaggedAt to `at` when given. */
  setReference(row: ReferenceRow, at?: string): void;
  deleteReference(row: Omit<ReferenceRow, "imageId">): void;

  /** Unpacked bytes of a layer; undefined when never stored. */
  layerSize(diffId: Digest): number | undefined;
  putLayer(diffId: Digest, sizeBytes: number, blobs: readonly Omit<LayerBlobRow, "diffId">[]): void;
  deleteLayer(diffId: Digest): void;
  layerBlobs(diffId: Digest): readonly LayerBlobRow[];
  /** Layers of which one blob has this digest. */
  layersOfBlob(digest: Digest): Digest[];
  /** Every layer with a row. */
  layers(): readonly Digest[];
  /** What `work` (synchronous) changes is stored whole or not at all; a throw brings memory back too. */
  transaction<T>(work: () => T): T;
}

interface StoredReference {
  readonly repository: string;
  readonly tag: string;
  readonly digest: Digest | "";
  readonly image_id: Digest;
  readonly target: Digest | "";
}

const keyOf = (repository: string, tag: string | undefined, digest: string | undefined): string =>
  `${repository}:${tag ?? ""}@${digest ?? ""}`;

/** Tags of a repository before its digests. */
const byName = (a: ReferenceRow, b: ReferenceRow): number => {
  if (a.repository !== b.repository) return a.repository < b.repository ? -1 : 1;
  if ((a.tag === undefined) !== (b.tag === undefined)) return a.tag === undefined ? 1 : -1;
  return (a.tag ?? a.digest ?? "") < (b.tag ?? b.digest ?? "") ? -1 : 1;
};

class Images implements ImageRows {
  readonly manifests: ManifestRows;
  readonly #database: Database;
  readonly #images = new Map<Digest, Row>();
  readonly #references = new Map<string, ReferenceRow>();
  readonly #namesOf = new Map<Digest, ReferenceRow[]>();
  readonly #layers = new Map<Digest, number>();

  constructor(database: Database) {
    this.#database = database;
    this.manifests = createManifestRows(database);
    this.#reload();
  }

  transaction<T>(work: () => T): T {
    try {
      return this.#database.transaction(work);
    } catch (error) {
      this.#reload();
      this.manifests.reload();
      throw error;
    }
  }

  #reload(): void {
    const database = this.#database;
    for (const map of [this.#images, this.#references, this.#namesOf, this.#layers]) map.clear();
    for (const stored of database.all<StoredImage>("SELECT * FROM images")) {
      this.#images.set(stored.id, fromStored(stored));
    }
    for (const stored of database.all<StoredReference>("SELECT * FROM image_references")) {
      this.#remember({
        repository: stored.repository,
        ...(stored.tag === "" ? {} : { tag: stored.tag }),
        ...(stored.digest === "" ? {} : { digest: stored.digest }),
        imageId: stored.image_id,
        ...(stored.target === "" ? {} : { target: stored.target }),
      });
    }
    const layers = database.all<{ diff_id: Digest; size_bytes: number }>(
      "SELECT * FROM image_layers",
    );
    for (const layer of layers) this.#layers.set(layer.diff_id, layer.size_bytes);
  }

  #remember(row: ReferenceRow): void {
    this.#references.set(keyOf(row.repository, row.tag, row.digest), row);
    const names = [...(this.#namesOf.get(row.imageId) ?? []), row].toSorted(byName);
    this.#namesOf.set(row.imageId, names);
  }

  #forget(row: ReferenceRow): void {
    this.#references.delete(keyOf(row.repository, row.tag, row.digest));
    const names = (this.#namesOf.get(row.imageId) ?? []).filter((name) => name !== row);
    this.#namesOf.set(row.imageId, names);
  }

  get(id: Digest): ImageRow | undefined {
    return this.#images.get(id);
  }

  list(): IterableIterator<ImageRow> {
    return this.#images.values();
  }

  withPrefix(prefix: string, limit: number): Digest[] {
    const found: Digest[] = [];
    for (const id of this.#images.keys()) {
      if (hexOf(id).startsWith(prefix) && found.push(id) >= limit) break;
    }
    return found;
  }

  children(id: Digest): Digest[] {
    return [...this.#images.values()].filter((row) => row.parent === id).map((row) => row.id);
  }

  put(row: Omit<ImageRow, "config">): ImageRow {
    const old = this.#images.get(row.id);
    const parent = old?.parent ?? row.parent;
    const manifestDigest = old?.manifestDigest ?? row.manifestDigest;
    const lastTaggedAt = old?.lastTaggedAt ?? row.lastTaggedAt;
    const merged = new Row({
      ...row,
      storedAt: old?.storedAt ?? row.storedAt,
      ...(parent === undefined ? {} : { parent }),
      ...(manifestDigest === undefined ? {} : { manifestDigest }),
      ...(lastTaggedAt === undefined ? {} : { lastTaggedAt }),
    });
    this.#database.run(
      `INSERT INTO images (id, config, parent, manifest_digest, size_bytes, stored_at, last_tagged_at)
       VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET parent = excluded.parent,
         manifest_digest = excluded.manifest_digest, size_bytes = excluded.size_bytes`,
      merged.id,
      merged.configText,
      merged.parent ?? null,
      merged.manifestDigest ?? null,
      merged.sizeBytes,
      merged.storedAt,
      merged.lastTaggedAt ?? null,
    );
    this.#images.set(merged.id, merged);
    return merged;
  }

  delete(id: Digest): void {
    this.#database.run("DELETE FROM images WHERE id = ?", id);
    for (const name of this.#namesOf.get(id) ?? []) this.#forget(name);
    this.#namesOf.delete(id);
    this.#images.delete(id);
  }

  reference(
    repository: string,
    tag: string | undefined,
    digest?: Digest,
  ): ReferenceRow | undefined {
    return this.#references.get(keyOf(repository, tag, digest));
  }

  findReference(repository: string, tag: string | undefined, digest?: Digest): Digest | undefined {
    return this.reference(repository, tag, digest)?.imageId;
  }

  references(imageId?: Digest): readonly ReferenceRow[] {
    if (imageId !== undefined) return this.#namesOf.get(imageId) ?? [];
    return [...this.#references.values()].toSorted(byName);
  }

  setReference(row: ReferenceRow, at?: string): void {
    const { repository, tag = "", digest = "", target = "" } = row;
    this.#database.transaction(() => {
      this.#database.run(
        "INSERT OR REPLACE INTO image_references (repository, tag, digest, image_id, target) VALUES (?, ?, ?, ?, ?)",
        repository,
        tag,
        digest,
        row.imageId,
        target,
      );
      if (at === undefined) return;
      this.#database.run("UPDATE images SET last_tagged_at = ? WHERE id = ?", at, row.imageId);
    });
    const old = this.#references.get(keyOf(repository, row.tag, row.digest));
    if (old !== undefined) this.#forget(old);
    this.#remember(row);
    const image = this.#images.get(row.imageId);
    if (image !== undefined && at !== undefined) {
      this.#images.set(image.id, image.withTagTime(at));
    }
  }

  deleteReference(row: Omit<ReferenceRow, "imageId">): void {
    const { repository, tag, digest } = row;
    this.#database.run(
      "DELETE FROM image_references WHERE repository = ? AND tag = ? AND digest = ?",
      repository,
      tag ?? "",
      digest ?? "",
    );
    const old = this.#references.get(keyOf(repository, tag, digest));
    if (old !== undefined) this.#forget(old);
  }

  layerSize(diffId: Digest): number | undefined {
    return this.#layers.get(diffId);
  }

  putLayer(
    diffId: Digest,
    sizeBytes: number,
    blobs: readonly Omit<LayerBlobRow, "diffId">[],
  ): void {
    this.#database.transaction(() => {
      this.#database.run(
        "INSERT OR IGNORE INTO image_layers (diff_id, size_bytes) VALUES (?, ?)",
        diffId,
        sizeBytes,
      );
      for (const blob of blobs) {
        this.#database.run(
          "INSERT OR REPLACE INTO image_layer_blobs (diff_id, digest, media_type, size_bytes) VALUES (?, ?, ?, ?)",
          diffId,
          blob.digest,
          blob.mediaType,
          blob.sizeBytes,
        );
      }
    });
    if (!this.#layers.has(diffId)) this.#layers.set(diffId, sizeBytes);
  }

  deleteLayer(diffId: Digest): void {
    this.#database.run("DELETE FROM image_layers WHERE diff_id = ?", diffId);
    this.#layers.delete(diffId);
  }

  layerBlobs(diffId: Digest): readonly LayerBlobRow[] {
    return this.#database.all<LayerBlobRow & Record<string, never>>(
      `SELECT diff_id AS diffId, digest, media_type AS mediaType, size_bytes AS sizeBytes
       FROM image_layer_blobs WHERE diff_id = ? ORDER BY digest = diff_id DESC, size_bytes`,
      diffId,
    );
  }

  layersOfBlob(digest: Digest): Digest[] {
    return this.#database
      .all<{ diff_id: Digest }>("SELECT diff_id FROM image_layer_blobs WHERE digest = ?", digest)
      .map((row) => row.diff_id);
  }

  layers(): readonly Digest[] {
    return [...this.#layers.keys()];
  }
}

/** `database` must have `IMAGE_MIGRATIONS`. */
export const createImageRows = (database: Database): ImageRows => new Images(database);
