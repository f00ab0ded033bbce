/** Which blobs a repository has. The bytes are stored once, however many repositories have them. */
import type { Database } from "#database/database.ts";
import type { Digest } from "#spec/image/digest.ts";

export interface BlobLink {
  readonly repositoryId: number;
  readonly repository: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** By when they were linked or used. */
const createUseRows = (database: Database) => ({
  /** Used now. */
  touch: (repositoryId: number, digest: Digest, usedAt: string): void =>
    void database.run(
      "UPDATE registry_blobs SET linked_at = ? WHERE repository_id = ? AND digest = ?",
      usedAt,
      repositoryId,
      digest,
    ),

  /** Those of repositories whose name matches the GLOB, linked or touched longest ago first. */
  oldest: (glob: string, offset: number, limit: number): BlobLink[] =>
    database.all<BlobLink>(
      `SELECT b.repository_id AS repositoryId, r.name AS repository, b.digest AS digest,
              b.size_bytes AS sizeBytes
       FROM registry_blobs b JOIN registry_repositories r ON r.id = b.repository_id
       WHERE r.name GLOB ? ORDER BY b.linked_at, b.repository_id, b.digest LIMIT ? OFFSET ?`,
      glob,
      limit,
      offset,
    ),
});

export const createBlobRows = (database: Database) => ({
  /** Size of a blob of this repository; undefined when it has none such. */
  sizeOf: (repositoryId: number, digest: Digest): number | undefined =>
    database.get<{ sizeBytes: number }>(
      "SELECT size_bytes AS sizeBytes FROM registry_blobs WHERE repository_id = ? AND digest = ?",
      repositoryId,
      digest,
    )?.sizeBytes,

  /** Linked again counts as linked now. */
  link: (repositoryId: number, digest: Digest, sizeBytes: number, linkedAt: string): void =>
    void database.run(
      `INSERT INTO registry_blobs (repository_id, digest, size_bytes, linked_at) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET linked_at = excluded.linked_at`,
      repositoryId,
      digest,
      sizeBytes,
      linkedAt,
    ),

  /** False when it was not there. */
  unlink: (repositoryId: number, digest: Digest): boolean =>
    database.run(
      "DELETE FROM registry_blobs WHERE repository_id = ? AND digest = ?",
      repositoryId,
      digest,
    ) > 0,

  /** Repositories that have the blob; at most `limit`. */
  holders: (digest: Digest, limit: number): string[] =>
    database
      .all<{ name: string }>(
        `SELECT r.name AS name FROM registry_blobs b JOIN registry_repositories r
           ON r.id = b.repository_id WHERE b.digest = ? LIMIT ?`,
        digest,
        limit,
      )
      .map((row) => row.name),

  /** By a repository whose name matches the GLOB. */
  isHeld: (digest: Digest, glob = "*"): boolean =>
    database.get(
      `SELECT 1 FROM registry_blobs b JOIN registry_repositories r ON r.id = b.repository_id
       WHERE b.digest = ? AND r.name GLOB ?`,
      digest,
      glob,
    ) !== undefined,

  /** Linked before `cutoff` and needed by no manifest of their repository, after the given place. */
  loose: (
    cutoff: string,
    after: { readonly repositoryId: number; readonly digest: string },
    limit: number,
  ): BlobLink[] =>
    database.all<BlobLink>(
      `SELECT b.repository_id AS repositoryId, r.name AS repository, b.digest AS digest,
              b.size_bytes AS sizeBytes
       FROM registry_blobs b JOIN registry_repositories r ON r.id = b.repository_id
       WHERE (b.repository_id, b.digest) > (?, ?) AND b.linked_at < ?
         AND NOT EXISTS (SELECT 1 FROM registry_needs n
                         WHERE n.repository_id = b.repository_id AND n.target = b.digest)
       ORDER BY b.repository_id, b.digest LIMIT ?`,
      after.repositoryId,
      after.digest,
      cutoff,
      limit,
    ),

  ...createUseRows(database),

  /** Bytes of the distinct blobs of all repositories whose name matches the GLOB. */
  usedBytes: (glob: string): number =>
    database.get<{ n: number | null }>(
      `SELECT sum(size) AS n FROM (
         SELECT max(b.size_bytes) AS size FROM registry_blobs b JOIN registry_repositories r
           ON r.id = b.repository_id WHERE r.name GLOB ? GROUP BY b.digest)`,
      glob,
    )?.n ?? 0,

  /** Of all blobs, each counted once. */
  totals: (): { count: number; sizeBytes: number } =>
    database.get<{ count: number; sizeBytes: number }>(
      `SELECT count(*) AS count, coalesce(sum(size), 0) AS sizeBytes
       FROM (SELECT max(size_bytes) AS size FROM registry_blobs GROUP BY digest)`,
    ) ?? { count: 0, sizeBytes: 0 },
});
