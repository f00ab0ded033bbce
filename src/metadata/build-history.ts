/** Rows of finished builds, as their clients look back on them. What a record says is its owner's business: JSON here. */
import type { Database, Migration } from "#database/database.ts";

export const BUILD_HISTORY_MIGRATIONS: readonly Migration[] = [
  {
    id: 45,
    sql: `
      CREATE TABLE build_history (
        ref TEXT PRIMARY KEY,
        completed_ms INTEGER NOT NULL,
        is_pinned INTEGER NOT NULL,
        log_bytes INTEGER NOT NULL,
        record TEXT NOT NULL
      ) STRICT, WITHOUT ROWID`,
  },
];

export interface BuildHistoryRow {
  readonly ref: string;
  readonly completedMs: number;
  readonly isPinned: boolean;
  readonly logBytes: number;
  /** JSON. */
  readonly record: string;
}

interface Stored {
  readonly ref: string;
  readonly completed_ms: number;
  readonly is_pinned: number;
  readonly log_bytes: number;
  readonly record: string;
}

export interface BuildHistoryRows {
  /** Oldest first. */
  all(): readonly BuildHistoryRow[];
  put(row: BuildHistoryRow): void;
  setPinned(ref: string, isPinned: boolean): void;
  delete(refs: readonly string[]): void;
}

export const createBuildHistoryRows = (database: Database): BuildHistoryRows => ({
  all: () =>
    database.all<Stored>("SELECT * FROM build_history ORDER BY completed_ms").map((stored) => ({
      ref: stored.ref,
      completedMs: stored.completed_ms,
      isPinned: stored.is_pinned !== 0,
      logBytes: stored.log_bytes,
      record: stored.record,
    })),
  put: ({ ref, completedMs, isPinned, logBytes, record }) => {
    database.run(
      "INSERT OR REPLACE INTO build_history VALUES (?, ?, ?, ?, ?)",
      ref,
      completedMs,
      isPinned ? 1 : 0,
      logBytes,
      record,
    );
  },
  setPinned: (ref, isPinned) => {
    database.run("UPDATE build_history SET is_pinned = ? WHERE ref = ?", isPinned ? 1 : 0, ref);
  },
  delete: (refs) =>
    database.transaction(() => {
      for (const ref of refs) database.run("DELETE FROM build_history WHERE ref = ?", ref);
    }),
});
