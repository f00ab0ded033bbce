/**
 * Rows of what was removed and can still be brought back: everything that its room needs for that, under a key
 * by which the room finds what it kept on disk. A row is written in the transaction that takes the object's own row
 * away, and goes in the one that brings it back, so an object is always in one of both places.
 */
import type { Database, Migration } from "#database/database.ts";
import { now, randomHex } from "#lib/clock.ts";

export const TRASH_MIGRATIONS: readonly Migration[] = [
  {
    id: 50,
    sql: `CREATE TABLE trash (
      id TEXT PRIMARY KEY,
      batch TEXT NOT NULL,
      kind TEXT NOT NULL CHECK (kind IN ('volume', 'container', 'image')),
      key TEXT NOT NULL,
      name TEXT NOT NULL,
      record TEXT NOT NULL,
      removed_at TEXT NOT NULL
    ) STRICT, WITHOUT ROWID`,
  },
];

export type TrashKind = "volume" | "container" | "image";

export interface TrashRow {
  /** 12 hex digits. */
  readonly id: string;
  /** The same for all that one command removed. */
  readonly batch: string;
  readonly kind: TrashKind;
  /** The object's own id. Several rows can have the same: an image that was pulled and removed again. */
  readonly key: string;
  /** As people know it. */
  readonly name: string;
  /** JSON, the room's own. */
  readonly record: string;
  /** RFC 3339 */
  readonly removedAt: string;
}

/** What a room does with its own rows. */
export interface TrashSource {
  readonly kind: TrashKind;
  /** Throws already_exists when the name is taken; then nothing has changed. */
  undo(row: TrashRow): Promise<void>;
  /** For good. Idempotent. */
  purge(row: TrashRow): Promise<void>;
  /** What `purge` would free. */
  sizeBytes(row: TrashRow): Promise<number>;
}

export interface TrashRows {
  /** False: what is removed is gone at once. Rows of an earlier daemon may still be there. */
  readonly isOn: boolean;
  /** Newest first. */
  all(kind?: TrashKind): TrashRow[];
  has(kind: TrashKind, key: string): boolean;
  put(row: Omit<TrashRow, "id" | "removedAt">): TrashRow;
  delete(id: string): void;
  /** As `Database.transaction`: with the rows of other rooms. */
  transaction<T>(work: () => T): T;
}

const COLUMNS = "id, batch, kind, key, name, record, removed_at AS removedAt";

export const newBatch = (): string => randomHex(6);

export const createTrashRows = (database: Database, isOn: boolean): TrashRows => ({
  isOn,
  all: (kind) =>
    database.all<TrashRow & Record<string, never>>(
      `SELECT ${COLUMNS} FROM trash WHERE kind = ? OR ? = '' ORDER BY removed_at DESC, id`,
      kind ?? "",
      kind ?? "",
    ),
  has: (kind, key) =>
    database.get("SELECT 1 AS found FROM trash WHERE kind = ? AND key = ?", kind, key) !==
    undefined,
  put: (row) => {
    const made: TrashRow = { ...row, id: randomHex(6), removedAt: now() };
    database.run(
      `INSERT INTO trash (id, batch, kind, key, name, record, removed_at)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
      made.id,
      made.batch,
      made.kind,
      made.key,
      made.name,
      made.record,
      made.removedAt,
    );
    return made;
  },
  delete: (id) => void database.run("DELETE FROM trash WHERE id = ?", id),
  transaction: (work) => database.transaction(work),
});
