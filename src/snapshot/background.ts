/** What nobody waits for: deleting trees and flushing layers to disk, both by child processes. */
import { renameSync } from "node:fs";
import { randomHex, sleep } from "#lib/clock.ts";
import type { Logger } from "#lib/log.ts";

const GATHER_MS = 500;
/**
 * Layers come in flocks, and builds follow builds: a flush makes whoever writes meanwhile wait for a disk that is busy
 * with what nobody waits for (a changed file of 98 MB built again: 362 ms beside it, 132 without, measured). The kernel
 * writes out by itself what is 30 seconds old (vm.dirty_expire_centisecs), so that one flush finds little left to do.
 */
const FLUSH_GATHER_MS = 30_000;

const run = async (command: string[]): Promise<void> => {
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const [complaint, status] = await Promise.all([child.stderr.text(), child.exited]);
  if (status !== 0) throw new Error(`${command[0]} ended with ${status}: ${complaint.trim()}`);
};

export class Background {
  readonly #trash: string;
  readonly #log: Logger;
  #deleting: Promise<void> | undefined;
  #doomed: string[] = [];
  #flushing: Promise<void> | undefined;
  #unflushed: (() => void)[] = [];
  /** Somebody waits for the deletions: no more gathering. */
  readonly #hurry = Promise.withResolvers<void>();

  constructor(trash: string, log: Logger) {
    this.#trash = trash;
    this.#log = log;
  }

  /** `path` is out of sight when this returns. Nothing may be mounted below it. */
  discard(path: string): void {
    const doomed = `${this.#trash}/${randomHex(8)}`;
    renameSync(path, doomed);
    this.delete(doomed);
  }

  /** Deletes something in the trash. What fails is tried again at the next start. */
  delete(doomed: string): void {
    this.#doomed.push(doomed);
    this.#deleting ??= this.#deleteAll();
  }

  /**
   * Calls `then` when all that was written before this call to the file system of the store is on disk: in half
   * a minute, or as soon as somebody waits for it.
   */
  flush(then: () => void): void {
    this.#unflushed.push(then);
    this.#flushing ??= this.#flushAll();
  }

  async idle(): Promise<void> {
    this.#hurry.resolve();
    while (this.#deleting !== undefined || this.#flushing !== undefined) {
      await Promise.all([this.#deleting, this.#flushing]);
    }
  }

  async #deleteAll(): Promise<void> {
    // A short-lived container's tree should not cost a process: those of half a second share one.
    await Promise.race([sleep(GATHER_MS), this.#hurry.promise]);
    while (this.#doomed.length > 0) {
      const paths = this.#doomed.splice(0, 64);
      try {
        await run(["rm", "-rf", "--one-file-system", "--", ...paths]);
      } catch (error) {
        this.#log.warn("removed snapshots could not be deleted", { paths, error: String(error) });
      }
    }
    this.#deleting = undefined;
  }

  /** One layer whose directory somebody took away must not cost the others. */
  #tell(isFlushed: () => void): void {
    try {
      isFlushed();
    } catch (error) {
      this.#log.warn("a layer could not be marked as flushed", { error: String(error) });
    }
  }

  async #flushAll(): Promise<void> {
    await Promise.race([sleep(FLUSH_GATHER_MS), this.#hurry.promise]);
    while (this.#unflushed.length > 0) {
      const callbacks = this.#unflushed.splice(0);
      try {
        await run(["sync", "-f", this.#trash]);
      } catch (error) {
        this.#log.warn("layers could not be flushed to disk", { error: String(error) });
        continue;
      }
      for (const callback of callbacks) this.#tell(callback);
    }
    this.#flushing = undefined;
  }
}
