/** Uploads under way. How far one has come is the size of its file, not a column. */
import type { Database } from "#database/database.ts";

export interface UploadRow {
  readonly id: string;
  readonly repository: string;
  readonly algorithm: "sha256" | "sha512";
  readonly startedAt: string;
}

const COLUMNS = "id, repository, algorithm, started_at AS startedAt";

export const createUploadRows = (database: Database) => ({
  add: (upload: UploadRow): void =>
    void database.run(
      "INSERT INTO registry_uploads (id, repository, algorithm, started_at) VALUES (?, ?, ?, ?)",
      upload.id,
      upload.repository,
      upload.algorithm,
      upload.startedAt,
    ),

  get: (id: string): UploadRow | undefined =>
    database.get<UploadRow>(`SELECT ${COLUMNS} FROM registry_uploads WHERE id = ?`, id),

  remove: (id: string): void => void database.run("DELETE FROM registry_uploads WHERE id = ?", id),

  all: (): UploadRow[] => database.all<UploadRow>(`SELECT ${COLUMNS} FROM registry_uploads`),

  count: (): number =>
    database.get<{ n: number }>("SELECT count(*) AS n FROM registry_uploads")?.n ?? 0,
});
