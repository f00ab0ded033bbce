/** Files that are either the old one or the new one, never half of it (write, fsync, rename). */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { randomHex } from "#lib/clock.ts";

export interface AtomicWriteOptions {
  readonly mode?: number;
  /** Off for files that are rebuilt at the next start anyway. */
  readonly isDurable?: boolean;
}

const syncDirectory = (path: string): void => {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
};

export const writeFileAtomic = (
  path: string,
  content: string | Uint8Array,
  options: AtomicWriteOptions = {},
): void => {
  const temporary = `${path}.${randomHex(4)}.tmp`;
  const isDurable = options.isDurable ?? true;
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  const fd = openSync(temporary, "wx", options.mode ?? 0o600);
  try {
    for (let offset = 0; offset < bytes.length;) offset += writeSync(fd, bytes, offset);
    if (isDurable) fsyncSync(fd);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
  if (isDurable) syncDirectory(dirname(path));
};
