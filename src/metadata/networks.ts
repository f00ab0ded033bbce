/** Rows of networks: the whole record as JSON beside what must be unique. */
import type { Database, Migration } from "#database/database.ts";

export const NETWORK_MIGRATIONS: readonly Migration[] = [
  {
    id: 20,
    sql: `CREATE TABLE networks (
      id TEXT PRIMARY KEY,
      name TEXT NOT NULL UNIQUE,
      record TEXT NOT NULL
    ) WITHOUT ROWID`,
  },
];

export interface NetworkRow {
  readonly id: string;
  readonly name: string;
  readonly record: string;
}

export interface NetworkRows {
  all(): NetworkRow[];
  /** Inserts, or replaces the row of the same id. A name that another id holds throws (SQLite's UNIQUE). */
  put(row: NetworkRow): void;
  delete(id: string): void;
}

export const createNetworkRows = (database: Database): NetworkRows => ({
  all: () => database.all<NetworkRow>("SELECT id, name, record FROM networks"),
  put: (row) => {
    database.run(
      `INSERT INTO networks (id, name, record) VALUES (?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET name = excluded.name, record = excluded.record`,
      row.id,
      row.name,
      row.record,
    );
  },
  delete: (id) => void database.run("DELETE FROM networks WHERE id = ?", id),
});
