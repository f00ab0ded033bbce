/**
 * Rows of the build cache: what each vertex once gave, by its key, and what its key was made of the last
 * time, so that a miss can be explained. Losing rows loses time, never truth.
 */
import type { Database, Migration } from "#database/database.ts";
import type { Digest } from "#spec/image/digest.ts";

export const BUILD_CACHE_MIGRATIONS: readonly Migration[] = [
  {
    id: 40,
    sql: `
      CREATE TABLE build_cache (
        key TEXT PRIMARY KEY,
        chain_id TEXT,
        parent TEXT,
        created TEXT NOT NULL,
        description TEXT NOT NULL,
        has_layer INTEGER NOT NULL,
        size_bytes INTEGER NOT NULL,
        last_used_at TEXT NOT NULL,
        use_count INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX build_cache_chain ON build_cache (chain_id);
      CREATE TABLE build_key_parts (
        step TEXT PRIMARY KEY,
        parts TEXT NOT NULL,
        written_at TEXT NOT NULL
      ) STRICT, WITHOUT ROWID;`,
  },
  // Without it the oldest are found by reading through all parts, which may be large.
  {
    id: 41,
    sql: "CREATE INDEX build_key_parts_written ON build_key_parts (written_at)",
  },
];

export interface BuildCacheRow {
  readonly key: string;
  /** The layers that the vertex gave; undefined for an empty tree. */
  readonly chainId: Digest | undefined;
  readonly parent: Digest | undefined;
  /** RFC 3339: when it was made. History and config repeat it, so that a cached build gives the same image. */
  readonly created: string;
  readonly description: string;
  /** False: only the config changed, or nothing was written. */
  readonly hasLayer: boolean;
  /** Of its own layer. */
  readonly sizeBytes: number;
  readonly lastUsedAt: string;
  readonly useCount: number;
}

interface Stored {
  readonly key: string;
  readonly chain_id: Digest | null;
  readonly parent: Digest | null;
  readonly created: string;
  readonly description: string;
  readonly has_layer: number;
  readonly size_bytes: number;
  readonly last_used_at: string;
  readonly use_count: number;
}

export interface BuildCacheRows {
  get(key: string): BuildCacheRow | undefined;
  all(): readonly BuildCacheRow[];
  put(row: BuildCacheRow): void;
  /** Counts a use of each. */
  touch(keys: readonly string[], at: string): void;
  delete(keys: readonly string[]): void;
  /** True while a row names the layer. */
  isHeld(chainId: Digest): boolean;
  /** When the layer was first made by a step (RFC 3339). */
  madeAt(chainId: Digest): string | undefined;
  /** `step` says which instruction of which Dockerfile; `parts` is JSON. */
  keyParts(step: string): string | undefined;
  putKeyParts(step: string, parts: string, at: string): void;
}

const KEY_PARTS_MAX_COUNT = 2000;

const fromStored = (stored: Stored): BuildCacheRow => ({
  key: stored.key,
  chainId: stored.chain_id ?? undefined,
  parent: stored.parent ?? undefined,
  created: stored.created,
  description: stored.description,
  hasLayer: stored.has_layer !== 0,
  sizeBytes: stored.size_bytes,
  lastUsedAt: stored.last_used_at,
  useCount: stored.use_count,
});

export const createBuildCacheRows = (database: Database): BuildCacheRows => ({
  get: (key) => {
    const stored = database.get<Stored>("SELECT * FROM build_cache WHERE key = ?", key);
    return stored === undefined ? undefined : fromStored(stored);
  },
  all: () =>
    database.all<Stored>("SELECT * FROM build_cache ORDER BY last_used_at").map(fromStored),
  put: (row) => {
    database.run(
      "INSERT OR REPLACE INTO build_cache VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      row.key,
      row.chainId ?? null,
      row.parent ?? null,
      row.created,
      row.description,
      row.hasLayer ? 1 : 0,
      row.sizeBytes,
      row.lastUsedAt,
      row.useCount,
    );
  },
  touch: (keys, at) =>
    database.transaction(() => {
      for (const key of keys) {
        database.run(
          "UPDATE build_cache SET last_used_at = ?, use_count = use_count + 1 WHERE key = ?",
          at,
          key,
        );
      }
    }),
  delete: (keys) =>
    database.transaction(() => {
      for (const key of keys) database.run("DELETE FROM build_cache WHERE key = ?", key);
    }),
  isHeld: (chainId) =>
    database.get("SELECT 1 AS held FROM build_cache WHERE chain_id = ? LIMIT 1", chainId) !==
    undefined,
  madeAt: (chainId) =>
    database.get<{ at: string | null }>(
      "SELECT min(created) AS at FROM build_cache WHERE chain_id = ?",
      chainId,
    )?.at ?? undefined,
  keyParts: (step) =>
    database.get<{ parts: string }>("SELECT parts FROM build_key_parts WHERE step = ?", step)
      ?.parts,
  putKeyParts: (step, parts, at) =>
    database.transaction(() => {
      database.run("INSERT OR REPLACE INTO build_key_parts VALUES (?, ?, ?)", step, parts, at);
      database.run(
        `DELETE FROM build_key_parts WHERE step IN (
           SELECT step FROM build_key_parts ORDER BY written_at DESC LIMIT -1 OFFSET ?)`,
        KEY_PARTS_MAX_COUNT,
      );
    }),
});
