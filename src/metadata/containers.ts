/** Rows of containers: the whole record as JSON beside what must be unique. */
import type { Database, Migration } from "#database/database.ts";

export const CONTAINER_MIGRATIONS: readonly Migration[] = [
  {
    id: 1,
    sql: `CREATE TABLE containers (
      id TEXT PRIMARY KEY,
      name TEXT NOT NULL UNIQUE,
      record TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE events (
      time_ns INTEGER NOT NULL,
      message TEXT NOT NULL
    );
    CREATE INDEX events_by_time ON events (time_ns);`,
  },
  {
    // A sandbox was its one endpoint; now it has a list of them.
    id: 2,
    sql: `UPDATE containers SET record = json_set(record, '$.sandbox.endpoints', json_array(json_object(
        'endpointId', json_extract(record, '$.sandbox.endpointId'),
        'networkId', json_extract(record, '$.sandbox.networkId'),
        'networkName', json_extract(record, '$.sandbox.mode'),
        'linkName', json_extract(record, '$.sandbox.linkName'),
        'name', CASE json_extract(record, '$.sandbox.mode') WHEN 'bridge' THEN 'eth0' ELSE '' END,
        'ip', json_extract(record, '$.sandbox.ip'),
        'prefix', json_extract(record, '$.sandbox.prefix'),
        'gateway', json_extract(record, '$.sandbox.gateway'),
        'mac', json_extract(record, '$.sandbox.mac'),
        'gatewayPriority', 0,
        'names', json_array())))
      WHERE json_extract(record, '$.sandbox.endpointId') IS NOT NULL`,
  },
];

export interface ContainerRow {
  readonly id: string;
  readonly name: string;
  readonly record: string;
}

export interface ContainerRows {
  all(): ContainerRow[];
  /** Inserts or replaces. A name that another id holds throws (SQLite's UNIQUE). */
  put(row: ContainerRow): void;
  delete(id: string): void;
}

export const createContainerRows = (database: Database): ContainerRows => ({
  all: () => database.all<ContainerRow>("SELECT id, name, record FROM containers"),
  put: (row) => {
    database.run(
      `INSERT INTO containers (id, name, record) VALUES (?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET name = excluded.name, record = excluded.record`,
      row.id,
      row.name,
      row.record,
    );
  },
  delete: (id) => void database.run("DELETE FROM containers WHERE id = ?", id),
});

export interface EventRow {
  readonly timeNs: bigint;
  readonly message: string;
}

export interface EventRows {
  append(rows: readonly EventRow[]): void;
  /** Oldest first. */
  between(sinceNs: bigint, untilNs: bigint): string[];
  /** Keeps the newest `count` rows. */
  trim(count: number): void;
}

export const createEventRows = (database: Database): EventRows => ({
  append: (rows) =>
    database.transaction(() => {
      for (const row of rows) {
        database.run(
          "INSERT INTO events (time_ns, message) VALUES (?, ?)",
          row.timeNs,
          row.message,
        );
      }
    }),
  between: (sinceNs, untilNs) =>
    database
      .all<{ message: string }>(
        "SELECT message FROM events WHERE time_ns >= ? AND time_ns <= ? ORDER BY time_ns, rowid",
        sinceNs,
        untilNs,
      )
      .map((row) => row.message),
  trim: (count) =>
    void database.run(
      "DELETE FROM events WHERE rowid <= (SELECT max(rowid) FROM events) - ?",
      count,
    ),
});
