/**
 * Leases keep blobs and layers that no row names yet (a pull, a load, a build under way) from being
 * swept. A lease ends by `release`, by its time, or by `clear` at the start of the next daemon: the work
 * that a killed daemon had leases for is gone with it.
 */
import type { Database, Migration } from "#database/database.ts";
import { formatInstant, nowNs, randomHex } from "#lib/clock.ts";

export const LEASE_MIGRATIONS: readonly Migration[] = [
  {
    id: 11,
    sql: `
      CREATE TABLE leases (
        id TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('blob', 'layer')),
        resource TEXT NOT NULL,
        expires_at TEXT NOT NULL,
        PRIMARY KEY (id, kind, resource)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX leases_resource ON leases (kind, resource);`,
  },
];

/** blob: a digest. layer: a chainID. */
export type LeaseKind = "blob" | "layer";

export interface LeaseResource {
  readonly kind: LeaseKind;
  readonly resource: string;
}

/** `using` it releases it; releasing twice is no error. */
export interface Lease extends Disposable {
  readonly id: string;
  add(...resources: readonly LeaseResource[]): void;
  /** Counts the time anew from now. */
  renew(): void;
}

export interface Leases {
  acquire(resources: readonly LeaseResource[], ttlMs?: number): Lease;
  isHeld(kind: LeaseKind, resource: string): boolean;
  release(id: string): void;
  /** Ends all leases; only before any work has begun. */
  clear(): void;
  /** Removes expired ones; returns how many resources became free. */
  sweep(): number;
}

const DEFAULT_TTL_MS = 24 * 3600 * 1000;

const expiry = (ttlMs: number): string => formatInstant(nowNs() + BigInt(ttlMs) * 1_000_000n);

export const createLeases = (database: Database): Leases => {
  const release = (id: string): void => void database.run("DELETE FROM leases WHERE id = ?", id);

  const acquire = (resources: readonly LeaseResource[], ttlMs = DEFAULT_TTL_MS): Lease => {
    const id = randomHex(16);
    const add = (...added: readonly LeaseResource[]): void =>
      database.transaction(() => {
        for (const { kind, resource } of added) {
          database.run(
            "INSERT OR REPLACE INTO leases (id, kind, resource, expires_at) VALUES (?, ?, ?, ?)",
            id,
            kind,
            resource,
            expiry(ttlMs),
          );
        }
      });
    add(...resources);
    return {
      id,
      add,
      renew: () => {
        database.run("UPDATE leases SET expires_at = ? WHERE id = ?", expiry(ttlMs), id);
      },
      [Symbol.dispose]: () => release(id),
    };
  };

  return {
    acquire,
    release,
    isHeld: (kind, resource) =>
      database.get(
        "SELECT 1 AS held FROM leases WHERE kind = ? AND resource = ? AND expires_at > ? LIMIT 1",
        kind,
        resource,
        formatInstant(nowNs()),
      ) !== undefined,
    clear: () => void database.run("DELETE FROM leases"),
    sweep: () => database.run("DELETE FROM leases WHERE expires_at <= ?", formatInstant(nowNs())),
  };
};
