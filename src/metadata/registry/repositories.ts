/** Repositories: a name and a number that the other tables use. */
import type { Database } from "#database/database.ts";
import { now } from "#lib/clock.ts";

interface Identified {
  readonly id: number;
}

export const createRepositoryRows = (database: Database) => {
  const idOf = (name: string): number | undefined =>
    database.get<Identified>("SELECT id FROM registry_repositories WHERE name = ?", name)?.id;

  return {
    /** undefined when there is none. */
    idOf,

    ensure: (name: string): number => {
      const existing = idOf(name);
      if (existing !== undefined) return existing;
      database.run(
        "INSERT INTO registry_repositories (name, created_at) VALUES (?, ?)",
        name,
        now(),
      );
      return idOf(name) ?? 0;
    },

    /** Names after `last`, in their order; at most `limit`. */
    list: (last: string, limit: number): string[] =>
      database
        .all<{ name: string }>(
          "SELECT name FROM registry_repositories WHERE name > ? ORDER BY name LIMIT ?",
          last,
          limit,
        )
        .map((row) => row.name),

    count: (): number =>
      database.get<{ n: number }>("SELECT count(*) AS n FROM registry_repositories")?.n ?? 0,

    /** Removes the repositories made before `cutoff` that hold nothing; returns their names. */
    removeEmpty: (cutoff: string): string[] =>
      database
        .all<{ name: string }>(
          `DELETE FROM registry_repositories WHERE created_at < ?
             AND NOT EXISTS (SELECT 1 FROM registry_manifests WHERE repository_id = id)
             AND NOT EXISTS (SELECT 1 FROM registry_blobs WHERE repository_id = id)
             AND NOT EXISTS (SELECT 1 FROM registry_uploads WHERE repository = name)
           RETURNING name`,
          cutoff,
        )
        .map((row) => row.name),
  };
};
