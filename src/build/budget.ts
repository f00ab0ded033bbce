/** The cache stays within its part of the disk: looked at after builds, not more often than now and then. */
import { statfsSync } from "node:fs";
import { monotonicMs } from "#lib/clock.ts";
import type { Logger } from "#lib/log.ts";

const INTERVAL_MS = 10 * 60 * 1000;
const GB = 1000 ** 3;
const MIN_BYTES = 2 * GB;
const DISK_PART = 0.1;

/** A tenth of the file system, 2 GB at least. */
export const budgetOf = (diskBytes: number): number =>
  Math.max(MIN_BYTES, Math.round(diskBytes * DISK_PART));

type Prune = (keepBytes: number) => Promise<{ deleted: string[]; reclaimedBytes: number }>;

export class CacheBudget {
  readonly #path: string;
  readonly #log: Logger;
  readonly #prune: Prune;
  #checkedMs = Number.NEGATIVE_INFINITY;

  /** `path` is on the file system that the cache is on. */
  constructor(path: string, log: Logger, prune: Prune) {
    this.#path = path;
    this.#log = log;
    this.#prune = prune;
  }

  /** Goes on behind the caller's back; what was used longest ago and no image stands on goes first. */
  check(): void {
    const nowMs = monotonicMs();
    if (nowMs - this.#checkedMs < INTERVAL_MS) return;
    this.#checkedMs = nowMs;
    const { blocks, bsize } = statfsSync(this.#path);
    this.#prune(budgetOf(blocks * bsize)).then(
      ({ deleted, reclaimedBytes }) => {
        if (deleted.length === 0) return;
        const count = deleted.length;
        this.#log.info("the build cache was over its budget", { count, reclaimedBytes });
      },
      (error: unknown) => {
        this.#log.warn("the build cache could not be looked at", { error: String(error) });
      },
    );
  }
}
