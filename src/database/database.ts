/**
 * The only door to SQLite: one file per data root, WAL, one writer. A commit survives the death of
 * the daemon at any instant; synchronous=NORMAL means that a power cut may lose the last commits
 * but never corrupts the file (sqlite.org/wal.html).
 */
import { Database as SqliteDatabase } from "bun:sqlite";
import { NaruError } from "#lib/errors.ts";

export type SqlValue = string | number | bigint | boolean | null | Uint8Array;
export type Row = Record<string, SqlValue>;

/** One step of the schema. Ids are unique over all rooms; a released step is never edited. */
export interface Migration {
  readonly id: number;
  readonly sql: string;
}

export interface Database {
  /** All rows. Statements are prepared once per text. */
  all<R = Row>(sql: string, ...values: SqlValue[]): R[];
  get<R = Row>(sql: string, ...values: SqlValue[]): R | undefined;
  /** Returns the number of changed rows. */
  run(sql: string, ...values: SqlValue[]): number;
  /** Runs `work` (synchronous) in one transaction; a throw rolls back. Nested calls join the outer one. */
  transaction<T>(work: () => T): T;
  close(): void;
}

/** Rooms add their steps independently: which ones a file has is a set, not a counter. */
const migrate = (sqlite: SqliteDatabase, migrations: readonly Migration[], path: string): void => {
  sqlite.run("CREATE TABLE IF NOT EXISTS migrations (id INTEGER PRIMARY KEY)");
  const rows = sqlite.query("SELECT id FROM migrations").all() as { id: number }[];
  const applied = new Set(rows.map((row) => row.id));
  const unknown = [...applied].filter((id) => !migrations.some((step) => step.id === id));
  if (unknown.length > 0) {
    throw new NaruError(
      "failed_precondition",
      `database "${path}" has schema steps ${unknown.join(", ")} that this naru does not know: it was written by a newer naru, use that one`,
    );
  }
  for (const migration of migrations) {
    if (applied.has(migration.id)) continue;
    sqlite.transaction(() => {
      sqlite.run(migration.sql);
      sqlite.query("INSERT INTO migrations (id) VALUES (?)").run(migration.id);
    })();
  }
};

/** Opens (and creates, mode 0600) the database at `path`, brought to the newest schema. ":memory:" for tests. */
export const openDatabase = (path: string, migrations: readonly Migration[]): Database => {
  const sqlite = new SqliteDatabase(path, { create: true, strict: true });
  sqlite.run("PRAGMA journal_mode = WAL");
  sqlite.run("PRAGMA synchronous = NORMAL");
  sqlite.run("PRAGMA foreign_keys = ON");
  sqlite.run("PRAGMA busy_timeout = 5000");
  migrate(sqlite, migrations, path);
  let depth = 0;
  return {
    all: <R>(sql: string, ...values: SqlValue[]) => sqlite.query(sql).all(...values) as R[],
    get: <R>(sql: string, ...values: SqlValue[]) =>
      (sqlite.query(sql).get(...values) as R | null) ?? undefined,
    run: (sql, ...values) => sqlite.query(sql).run(...values).changes,
    transaction: (work) => {
      if (depth > 0) return work();
      depth += 1;
      try {
        return sqlite.transaction(work).immediate();
      } finally {
        depth -= 1;
      }
    },
    close: () => sqlite.close(),
  };
};
