/**
 * The audit log: one JSON object a line for everything that changed something or was denied, and for pulls where
 * that is asked for. A full file is set aside under ".1" to ".4"; what is older goes.
 */
import { closeSync, fstatSync, openSync, renameSync, writeSync } from "node:fs";
import { now } from "#lib/clock.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import type { Logger } from "#lib/log.ts";
import type { RegistryEvent } from "#registry/observer.ts";

const LIMIT_BYTES = 100 * 1024 * 1024;
const KEPT_FILES = 4;

export interface AuditOptions {
  readonly path: string;
  readonly hasPulls: boolean;
  readonly limitBytes?: number;
}

const openLog = (path: string): number => {
  try {
    return openSync(path, "a", 0o600);
  } catch (cause) {
    throw new NaruError(
      "invalid_argument",
      `"audit": cannot write to "${path}": ${toNaruError(cause).message}; name a file in a directory that exists`,
      { cause },
    );
  }
};

export class AuditLog implements Disposable {
  readonly #options: AuditOptions;
  readonly #log: Logger;
  #fd: number;
  #sizeBytes: number;

  /** Throws invalid_argument when the file cannot be opened. */
  constructor(options: AuditOptions, log: Logger) {
    this.#options = options;
    this.#log = log;
    this.#fd = openLog(options.path);
    this.#sizeBytes = fstatSync(this.#fd).size;
  }

  event(event: RegistryEvent): void {
    if (event.action === "pull" && !this.#options.hasPulls) return;
    const line = `${JSON.stringify({ time: now(), ...event })}\n`;
    try {
      if (this.#sizeBytes >= (this.#options.limitBytes ?? LIMIT_BYTES)) this.#rotate();
      this.#sizeBytes += writeSync(this.#fd, line);
    } catch (error) {
      // The change has happened: what the file cannot take goes to the log, so that it is told somewhere.
      this.#log.error("could not write to the audit log", { error, event });
    }
  }

  #rotate(): void {
    const { path } = this.#options;
    for (let n = KEPT_FILES; n >= 1; n -= 1) {
      try {
        renameSync(n === 1 ? path : `${path}.${n - 1}`, `${path}.${n}`);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      }
    }
    const fd = openSync(path, "a", 0o600);
    closeSync(this.#fd);
    this.#fd = fd;
    this.#sizeBytes = 0;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
