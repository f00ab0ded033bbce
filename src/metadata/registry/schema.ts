/** The registry's tables; docs/decisions/0019-registry-storage.md says why they are so. */
import type { Migration } from "#database/database.ts";

export const REGISTRY_MIGRATIONS: readonly Migration[] = [
  {
    id: 500,
    sql: `
      CREATE TABLE registry_repositories (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        created_at TEXT NOT NULL
      ) STRICT;
      CREATE TABLE registry_manifests (
        repository_id INTEGER NOT NULL REFERENCES registry_repositories (id),
        digest TEXT NOT NULL,
        media_type TEXT NOT NULL,
        artifact_type TEXT NOT NULL,
        annotations TEXT NOT NULL,
        subject TEXT,
        size_bytes INTEGER NOT NULL,
        pushed_at TEXT NOT NULL,
        content BLOB NOT NULL,
        PRIMARY KEY (repository_id, digest)
      ) STRICT;
      CREATE INDEX registry_manifests_subject
        ON registry_manifests (repository_id, subject, digest) WHERE subject IS NOT NULL;
      CREATE TABLE registry_needs (
        repository_id INTEGER NOT NULL,
        manifest TEXT NOT NULL,
        target TEXT NOT NULL,
        PRIMARY KEY (repository_id, manifest, target)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX registry_needs_target ON registry_needs (repository_id, target);
      CREATE TABLE registry_tags (
        repository_id INTEGER NOT NULL,
        name TEXT NOT NULL,
        digest TEXT NOT NULL,
        tagged_at TEXT NOT NULL,
        PRIMARY KEY (repository_id, name)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX registry_tags_order ON registry_tags (repository_id, name COLLATE NOCASE, name);
      CREATE INDEX registry_tags_digest ON registry_tags (repository_id, digest);
      CREATE TABLE registry_blobs (
        repository_id INTEGER NOT NULL,
        digest TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        linked_at TEXT NOT NULL,
        PRIMARY KEY (repository_id, digest)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX registry_blobs_digest ON registry_blobs (digest);
      CREATE TABLE registry_uploads (
        id TEXT PRIMARY KEY,
        repository TEXT NOT NULL,
        algorithm TEXT NOT NULL,
        started_at TEXT NOT NULL
      ) STRICT, WITHOUT ROWID;`,
  },
];
