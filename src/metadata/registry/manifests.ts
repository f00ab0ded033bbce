/** Manifests with their bytes, and what each one needs. */
import type { Database } from "#database/database.ts";
import type { Digest } from "#spec/image/digest.ts";

export interface ManifestRow {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly content: Uint8Array;
}

export interface NewManifest extends ManifestRow {
  readonly artifactType: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly subject: Digest | undefined;
  readonly pushedAt: string;
  /** Blobs and manifests of the same repository. */
  readonly needs: readonly Digest[];
}

export interface ReferrerRow {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly artifactType: string;
  readonly sizeBytes: number;
  /** JSON. */
  readonly annotations: string;
}

export interface LooseManifest {
  readonly repositoryId: number;
  readonly repository: string;
  readonly digest: Digest;
}

const contents = (database: Database) => ({
  get: (repositoryId: number, digest: Digest): ManifestRow | undefined =>
    database.get<ManifestRow>(
      `SELECT digest, media_type AS mediaType, content FROM registry_manifests
       WHERE repository_id = ? AND digest = ?`,
      repositoryId,
      digest,
    ),

  /** One that needs `target`. */
  needing: (repositoryId: number, target: Digest): ManifestRow | undefined =>
    database.get<ManifestRow>(
      `SELECT m.digest AS digest, m.media_type AS mediaType, m.content AS content
       FROM registry_needs n JOIN registry_manifests m
         ON m.repository_id = n.repository_id AND m.digest = n.manifest
       WHERE n.repository_id = ? AND n.target = ? LIMIT 1`,
      repositoryId,
      target,
    ),

  has: (repositoryId: number, digest: Digest): boolean =>
    database.get(
      "SELECT 1 FROM registry_manifests WHERE repository_id = ? AND digest = ?",
      repositoryId,
      digest,
    ) !== undefined,

  /** The same content pushed again counts as pushed now. */
  put: (repositoryId: number, manifest: NewManifest): void => {
    database.run(
      `INSERT INTO registry_manifests
         (repository_id, digest, media_type, artifact_type, annotations, subject, size_bytes, pushed_at, content)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET media_type = excluded.media_type, pushed_at = excluded.pushed_at`,
      repositoryId,
      manifest.digest,
      manifest.mediaType,
      manifest.artifactType,
      JSON.stringify(manifest.annotations),
      manifest.subject ?? null,
      manifest.content.length,
      manifest.pushedAt,
      manifest.content,
    );
    for (const target of manifest.needs) {
      database.run(
        "INSERT OR IGNORE INTO registry_needs (repository_id, manifest, target) VALUES (?, ?, ?)",
        repositoryId,
        manifest.digest,
        target,
      );
    }
  },

  /** False when it was not there. */
  remove: (repositoryId: number, digest: Digest): boolean => {
    database.run(
      "DELETE FROM registry_needs WHERE repository_id = ? AND manifest = ?",
      repositoryId,
      digest,
    );
    return (
      database.run(
        "DELETE FROM registry_manifests WHERE repository_id = ? AND digest = ?",
        repositoryId,
        digest,
      ) > 0
    );
  },
});

const lists = (database: Database) => ({
  /** By digest, after `last`. `artifactType` "" is any. */
  referrers: (
    repositoryId: number,
    subject: Digest,
    artifactType: string,
    last: string,
    limit: number,
  ): ReferrerRow[] =>
    database.all<ReferrerRow>(
      `SELECT digest, media_type AS mediaType, artifact_type AS artifactType,
              size_bytes AS sizeBytes, annotations
       FROM registry_manifests
       WHERE repository_id = ? AND subject = ? AND digest > ? AND (? = '' OR artifact_type = ?)
       ORDER BY digest LIMIT ?`,
      repositoryId,
      subject,
      last,
      artifactType,
      artifactType,
      limit,
    ),

  count: (): number =>
    database.get<{ n: number }>("SELECT count(*) AS n FROM registry_manifests")?.n ?? 0,

  /**
   * Manifests pushed before `cutoff` that no tag and no index names, and that are about no manifest that is
   * there (a signature lives as long as its image); without the first `offset` of them.
   */
  loose: (cutoff: string, offset: number, limit: number): LooseManifest[] =>
    database.all<LooseManifest>(
      `SELECT m.repository_id AS repositoryId, r.name AS repository, m.digest AS digest
       FROM registry_manifests m JOIN registry_repositories r ON r.id = m.repository_id
       WHERE m.pushed_at < ?
         AND NOT EXISTS (SELECT 1 FROM registry_tags t
                         WHERE t.repository_id = m.repository_id AND t.digest = m.digest)
         AND NOT EXISTS (SELECT 1 FROM registry_needs n
                         WHERE n.repository_id = m.repository_id AND n.target = m.digest)
         AND NOT EXISTS (SELECT 1 FROM registry_manifests s
                         WHERE s.repository_id = m.repository_id AND s.digest = m.subject)
       ORDER BY m.repository_id, m.digest LIMIT ? OFFSET ?`,
      cutoff,
      limit,
      offset,
    ),
});

export const createManifestRows = (database: Database) => ({
  ...contents(database),
  ...lists(database),
});
