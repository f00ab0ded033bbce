/** Tags, in the spec's order: alphanumeric, upper and lower case alike (distribution-spec 1.1.1 "Listing Tags"). */
import type { Database } from "#database/database.ts";
import type { Digest } from "#spec/image/digest.ts";

export interface TagRow {
  readonly name: string;
  readonly digest: Digest;
  readonly taggedAt: string;
}

export const createTagRows = (database: Database) => ({
  /** undefined when there is none. */
  digestOf: (repositoryId: number, name: string): Digest | undefined =>
    database.get<{ digest: Digest }>(
      "SELECT digest FROM registry_tags WHERE repository_id = ? AND name = ?",
      repositoryId,
      name,
    )?.digest,

  put: (repositoryId: number, tag: TagRow): void =>
    void database.run(
      `INSERT INTO registry_tags (repository_id, name, digest, tagged_at) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET digest = excluded.digest, tagged_at = excluded.tagged_at`,
      repositoryId,
      tag.name,
      tag.digest,
      tag.taggedAt,
    ),

  /** False when it was not there. */
  remove: (repositoryId: number, name: string): boolean =>
    database.run(
      "DELETE FROM registry_tags WHERE repository_id = ? AND name = ?",
      repositoryId,
      name,
    ) > 0,

  namesOf: (repositoryId: number, digest: Digest): string[] =>
    database
      .all<{ name: string }>(
        "SELECT name FROM registry_tags WHERE repository_id = ? AND digest = ?",
        repositoryId,
        digest,
      )
      .map((row) => row.name),

  /** Tags whose images need the manifest or blob: directly, or by way of indexes. */
  namesAbove: (repositoryId: number, digest: Digest): string[] =>
    database
      .all<{ name: string }>(
        `WITH RECURSIVE above (digest) AS (
           SELECT ?2
           UNION
           SELECT n.manifest FROM registry_needs n JOIN above ON n.target = above.digest
           WHERE n.repository_id = ?1)
         SELECT t.name AS name FROM registry_tags t JOIN above ON t.digest = above.digest
         WHERE t.repository_id = ?1`,
        repositoryId,
        digest,
      )
      .map((row) => row.name),

  /** Names after `last`; at most `limit`. */
  list: (repositoryId: number, last: string, limit: number): string[] =>
    database
      .all<{ name: string }>(
        `SELECT name FROM registry_tags
         WHERE repository_id = ?
           AND (name COLLATE NOCASE > ? OR (name COLLATE NOCASE = ? AND name > ?))
         ORDER BY name COLLATE NOCASE, name LIMIT ?`,
        repositoryId,
        last,
        last,
        last,
        limit,
      )
      .map((row) => row.name),

  /** All of a repository, for retention rules. */
  all: (repositoryId: number): TagRow[] =>
    database.all<TagRow>(
      "SELECT name, digest, tagged_at AS taggedAt FROM registry_tags WHERE repository_id = ?",
      repositoryId,
    ),

  count: (): number =>
    database.get<{ n: number }>("SELECT count(*) AS n FROM registry_tags")?.n ?? 0,
});
