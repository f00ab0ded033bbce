/**
 * Rows about the manifests that images came with: indexes, and the manifests that they list.
 *
 * A row is a document, word for word, under its digest. With `imageId` it is the manifest of an image (which may have been
 * removed since); without one it is an index, or something kept as it came: an attestation, an artifact, an image for another
 * operating system. The blobs of what is kept are in content before its row is here.
 * What a tag attaches to another manifest ("sha256-….sig", "#spec/distribution/name.ts") has that tag beside its row.
 * Documents are read from the database when they are asked for; what they belong to is in memory.
 */
import type { Database, Migration } from "#database/database.ts";
import type { Digest } from "#spec/image/digest.ts";

export const IMAGE_MANIFEST_MIGRATION: Migration = {
  id: 12,
  sql: `
    CREATE TABLE image_manifests (
      digest TEXT PRIMARY KEY,
      media_type TEXT NOT NULL,
      document TEXT NOT NULL,
      image_id TEXT NOT NULL DEFAULT ''
    ) STRICT, WITHOUT ROWID;
    ALTER TABLE image_references ADD COLUMN target TEXT NOT NULL DEFAULT '';`,
};

export const IMAGE_ATTACHED_MIGRATION: Migration = {
  id: 13,
  sql: `
    CREATE TABLE image_attached (
      tag TEXT PRIMARY KEY,
      digest TEXT NOT NULL REFERENCES image_manifests (digest) ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX image_attached_digest ON image_attached (digest);`,
};

export interface ManifestRow {
  readonly digest: Digest;
  readonly mediaType: string;
  /** The exact bytes whose digest it is. */
  readonly document: string;
  readonly imageId?: Digest;
}

export interface ManifestRows {
  get(digest: Digest): ManifestRow | undefined;
  has(digest: Digest): boolean;
  /** Without its document: in memory. */
  imageOf(digest: Digest): Digest | undefined;
  digests(): readonly Digest[];
  /** A manifest that is there gets an image it did not have. */
  put(row: ManifestRow): void;
  /** A manifest that has a row; one that had the tag before loses it. */
  attach(tag: string, digest: Digest): void;
  /** What is attached under the tag. */
  attachedAs(tag: string): Digest | undefined;
  /** Tags that the manifest is attached under. */
  tagsOf(digest: Digest): readonly string[];
  delete(digest: Digest): void;
  /** After a transaction that was taken back. */
  reload(): void;
}

interface StoredManifest {
  readonly digest: Digest;
  readonly media_type: string;
  readonly document: string;
  readonly image_id: Digest | "";
}

export const createManifestRows = (database: Database): ManifestRows => {
  const known = new Map<Digest, Digest | undefined>();
  const attached = new Map<string, Digest>();
  const reload = (): void => {
    known.clear();
    attached.clear();
    const rows = database.all<Pick<StoredManifest, "digest" | "image_id"> & Record<string, never>>(
      "SELECT digest, image_id FROM image_manifests",
    );
    for (const { digest, image_id: id } of rows) known.set(digest, id === "" ? undefined : id);
    const tags = database.all<{ tag: string; digest: Digest }>(
      "SELECT tag, digest FROM image_attached",
    );
    for (const { tag, digest } of tags) attached.set(tag, digest);
  };
  reload();
  const tagsOf = (digest: Digest): readonly string[] =>
    [...attached].filter(([, one]) => one === digest).map(([tag]) => tag);
  return {
    reload,
    has: (digest) => known.has(digest),
    imageOf: (digest) => known.get(digest),
    digests: () => [...known.keys()],
    get: (digest) => {
      if (!known.has(digest)) return undefined;
      const stored = database.get<StoredManifest & Record<string, never>>(
        "SELECT * FROM image_manifests WHERE digest = ?",
        digest,
      );
      if (stored === undefined) return undefined;
      const { media_type: mediaType, document, image_id: id } = stored;
      return { digest, mediaType, document, ...(id === "" ? {} : { imageId: id }) };
    },
    put: ({ digest, mediaType, document, imageId }) => {
      database.run(
        `INSERT INTO image_manifests (digest, media_type, document, image_id) VALUES (?, ?, ?, ?)
         ON CONFLICT (digest) DO UPDATE SET image_id = max(image_id, excluded.image_id)`,
        digest,
        mediaType,
        document,
        imageId ?? "",
      );
      known.set(digest, imageId ?? known.get(digest));
    },
    attach: (tag, digest) => {
      database.run(
        "INSERT OR REPLACE INTO image_attached (tag, digest) VALUES (?, ?)",
        tag,
        digest,
      );
      attached.set(tag, digest);
    },
    attachedAs: (tag) => attached.get(tag),
    tagsOf: (digest) => tagsOf(digest),
    delete: (digest) => {
      database.run("DELETE FROM image_manifests WHERE digest = ?", digest);
      known.delete(digest);
      for (const tag of tagsOf(digest)) attached.delete(tag);
    },
  };
};
