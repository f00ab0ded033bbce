/**
 * The only door to SQLite: one file per data root, WAL, one writer. A commit survives the death of
 * the daemon at any instant; synchronous=NORMAL means that a power cut may lose the last commits
 * but never corrupts the file (sqlite.org/wal.html).
 */
import { Database as SqliteDatabase } from "bun:sqlite";
import { NaruError } from "#lib/errors.ts";

export type SqlValue = string | number | bigint | boolean | null | Uint8Array;
export type Row = Record<string, SqlValue>;

/** One step of the schema. Steps are only ever appended; a released step is never edited. */
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

const migrate = (sqlite: SqliteDatabase, migrations: readonly Migration[], path: string): void => {
  const row = sqlite.query("PRAGMA user_version").get() as { user_version: number };
  const newest = migrations.at(-1)?.id ?? 0;
  if (row.user_version > newest) {
    throw new NaruError(
      "failed_precondition",
      `database "${path}" has schema ${row.user_version}, this naru knows up to ${newest}: it was written by a newer naru, use that one`,
    );
  }
  for (const migration of migrations) {
    if (migration.id <= row.user_version) continue;
    sqlite.transaction(() => {
      sqlite.run(migration.sql);
      sqlite.run(`PRAGMA user_version = ${migration.id}`);
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
