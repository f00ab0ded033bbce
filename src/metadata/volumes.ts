/** Rows of volumes: the whole record as JSON under its name. */
import type { Database, Migration } from "#database/database.ts";

export const VOLUME_MIGRATIONS: readonly Migration[] = [
  {
    id: 30,
    sql: `CREATE TABLE volumes (
      name TEXT PRIMARY KEY,
      record TEXT NOT NULL
    ) WITHOUT ROWID`,
  },
];

export interface VolumeRow {
  readonly name: string;
  readonly record: string;
}

export interface VolumeRows {
  all(): VolumeRow[];
  /** Inserts or replaces. */
  put(row: VolumeRow): void;
  delete(name: string): void;
  /** In one transaction: `oldName` goes, `row` comes. */
  replace(oldName: string, row: VolumeRow): void;
}

export const createVolumeRows = (database: Database): VolumeRows => {
  const put = (row: VolumeRow): void => {
    database.run(
      `INSERT INTO volumes (name, record) VALUES (?, ?)
       ON CONFLICT (name) DO UPDATE SET record = excluded.record`,
      row.name,
      row.record,
    );
  };
  const remove = (name: string): void =>
    void database.run("DELETE FROM volumes WHERE name = ?", name);
  return {
    all: () => database.all<VolumeRow>("SELECT name, record FROM volumes"),
    put,
    delete: remove,
    replace: (oldName, row) =>
      database.transaction(() => {
        remove(oldName);
        put(row);
      }),
  };
};
