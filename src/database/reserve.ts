/**
 * Room kept free for a full disk: a file of real blocks beside the database. When SQLite finds no
 * space the file goes and the write is tried again, so that ends are still recorded and `rm` can give
 * the disk back. It is made anew when there is space.
 */
import {
  closeSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { monotonicMs } from "#lib/clock.ts";

const RESERVE_BYTES = 4 * 1024 * 1024;
/** The disk must hold this many reserves for one to be made: it is no reason to fill it. */
const SPARE_FACTOR = 2;
const RETRY_MS = 30_000;
const FIRST_TRY_MS = 1000;

export class Reserve {
  readonly #path: string;
  #nextTryMs: number;
  #isHeld: boolean;

  constructor(path: string) {
    this.#path = path;
    // Its writing is not on a daemon's way to its first answer.
    this.#nextTryMs = monotonicMs() + FIRST_TRY_MS;
    this.#isHeld = (statSync(path, { throwIfNoEntry: false })?.size ?? 0) >= RESERVE_BYTES;
  }

  /** True when there was something to give: the write may be tried again. */
  release(): boolean {
    if (!this.#isHeld) return false;
    this.#isHeld = false;
    this.#nextTryMs = monotonicMs() + RETRY_MS;
    rmSync(this.#path, { force: true });
    return true;
  }

  /**
   * Makes it again when it was used up and the disk has space. Cheap when there is nothing to do. `isNow`: does not
   * wait for the time of the next try.
   */
  refill(isNow = false): void {
    if (this.#isHeld || (!isNow && monotonicMs() < this.#nextTryMs)) return;
    this.#nextTryMs = monotonicMs() + RETRY_MS;
    const { bavail, bsize } = statfsSync(dirname(this.#path));
    if (bavail * bsize < RESERVE_BYTES * (SPARE_FACTOR + 1)) return;
    this.#isHeld = this.#make();
  }

  #make(): boolean {
    const temporary = `${this.#path}.tmp`;
    try {
      const fd = openSync(temporary, "w", 0o600);
      try {
        writeSync(fd, Buffer.alloc(RESERVE_BYTES));
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      renameSync(temporary, this.#path);
      return true;
    } catch (error) {
      rmSync(temporary, { force: true });
      if ((error as NodeJS.ErrnoException).code === "ENOSPC") return false;
      throw error;
    }
  }
}
