/**
 * The only door to SQLite: one file per data root, WAL, one writer. A commit survives the death of
 * the daemon at any instant; synchronous=NORMAL means that a power cut may lose the last commits
 * but never corrupts the file (sqlite.org/wal.html).
 */
import { Database as SqliteDatabase } from "bun:sqlite";
import { chmodSync, closeSync, openSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import { Reserve } from "#database/reserve.ts";

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
  /**
   * Runs `work` (synchronous) in one transaction; a throw rolls back. Nested calls join the
   * outer one. `work` may run twice: it must do nothing but read and write rows.
   */
  transaction<T>(work: () => T): T;
  /** Makes the room that is kept for a full disk, if it is not there: some milliseconds, once for each file. */
  keepReserve(): void;
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
  const missing = migrations.filter((step) => !applied.has(step.id));
  if (missing.length === 0) return;
  // All or none: a new file has two dozen steps, and each commit takes as long as all of them.
  sqlite.transaction(() => {
    for (const step of missing) {
      sqlite.run(step.sql);
      sqlite.query("INSERT INTO migrations (id) VALUES (?)").run(step.id);
    }
  })();
};

const isFull = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "SQLITE_FULL";

/** Tries once more with the reserve's space when the disk is full. */
const withReserve = <T>(reserve: Reserve | undefined, work: () => T): T => {
  try {
    const result = work();
    reserve?.refill();
    return result;
  } catch (error) {
    if (!isFull(error)) throw error;
    if (reserve?.release() === true) return work();
    const message = "the disk is full: free some space (naru system prune) and try again";
    throw new NaruError("resource_exhausted", message, { cause: error });
  }
};

const configure = (sqlite: SqliteDatabase, isPowerSafe: boolean): void => {
  sqlite.run(`PRAGMA synchronous = ${isPowerSafe ? "FULL" : "NORMAL"}`);
  sqlite.run("PRAGMA journal_mode = WAL");
  sqlite.run("PRAGMA foreign_keys = ON");
  sqlite.run("PRAGMA busy_timeout = 5000");
};

/** Rows hold containers' environments. The files that SQLite puts beside it get the same mode. */
const makePrivate = (path: string): void => {
  closeSync(openSync(path, "a", 0o600));
  chmodSync(path, 0o600);
};

export interface DatabaseOptions {
  /** Commits survive a power cut as well (synchronous=FULL): one fdatasync each. */
  readonly isPowerSafe?: boolean;
}

/** Opens (and creates, mode 0600) the database at `path`, brought to the newest schema. ":memory:" for tests. */
export const openDatabase = (
  path: string,
  migrations: readonly Migration[],
  options: DatabaseOptions = {},
): Database => {
  const reserve = path === ":memory:" ? undefined : new Reserve(`${path}.reserve`);
  if (path !== ":memory:") makePrivate(path);
  const sqlite = new SqliteDatabase(path, { create: true, strict: true });
  withReserve(reserve, () => configure(sqlite, options.isPowerSafe ?? false));
  withReserve(reserve, () => migrate(sqlite, migrations, path));
  let depth = 0;
  const outermost = <T>(work: () => T): T => {
    depth += 1;
    try {
      return sqlite.transaction(work).immediate();
    } finally {
      depth -= 1;
    }
  };
  return {
    all: <R>(sql: string, ...values: SqlValue[]) => sqlite.query(sql).all(...values) as R[],
    get: <R>(sql: string, ...values: SqlValue[]) =>
      (sqlite.query(sql).get(...values) as R | null) ?? undefined,
    run: (sql, ...values) => {
      const change = (): number => sqlite.query(sql).run(...values).changes;
      // Inside a transaction the whole of it is tried again, not one step.
      return depth > 0 ? change() : withReserve(reserve, change);
    },
    transaction: (work) => (depth > 0 ? work() : withReserve(reserve, () => outermost(work))),
    keepReserve: () => reserve?.refill(true),
    close: () => sqlite.close(),
  };
};
