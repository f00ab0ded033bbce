/**
 * Rotation: the full file becomes `<path>.1`, older ones move up, the oldest goes; then conmon is told
 * to open its path anew. Between the rename and that moment conmon writes on into the renamed
 * file, so no line is lost; a daemon that dies in between leaves a path without a file, and the next
 * one tells conmon again.
 */
import { existsSync, renameSync, rmSync, statSync } from "node:fs";
import { sleep } from "#lib/clock.ts";
import { rotatedFiles } from "#log/files.ts";
import { LogWatcher } from "#log/watch.ts";

export interface RotationPolicy {
  /** Infinity = never rotated. */
  readonly maxBytes: number;
  /** Files that stay, the one being written included. */
  readonly maxFiles: number;
  /** Rotated files are kept as gzip. */
  readonly isCompressed: boolean;
}

export type RotationStep = "none" | "rotate" | "reopen";

/** Pure. `sizeBytes` undefined: the path has no file; `hasRotated`: there is a `<path>.1`. */
export const decideRotation = (
  sizeBytes: number | undefined,
  hasRotated: boolean,
  policy: RotationPolicy,
): RotationStep => {
  if (sizeBytes === undefined) return hasRotated ? "reopen" : "none";
  return sizeBytes >= policy.maxBytes ? "rotate" : "none";
};

/** Moves the files up and deletes what is beyond the policy. With one file, `.1` stays until the next time. */
const shift = (path: string, policy: RotationPolicy): void => {
  const keep = Math.max(1, policy.maxFiles - 1);
  for (const { path: file, number, isCompressed } of rotatedFiles(path).toReversed()) {
    if (number >= keep) rmSync(file, { force: true });
    else renameSync(file, `${path}.${number + 1}${isCompressed ? ".gz" : ""}`);
  }
  renameSync(path, `${path}.1`);
};

export interface RotateOptions {
  readonly path: string;
  readonly policy: RotationPolicy;
  /** Makes the writer open its path anew (conmon's control pipe: "2 0 0\n"). */
  readonly reopen: () => void;
}

/** Looks once and does what is due. */
export const rotateIfDue = (options: RotateOptions): RotationStep => {
  const { path, policy, reopen } = options;
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  const step = decideRotation(size, rotatedFiles(path).length > 0, policy);
  if (step === "rotate") shift(path, policy);
  if (step !== "none") reopen();
  return step;
};

/** Compresses the rotated files that are not yet. Nobody writes to them any more. */
export const compressRotated = async (path: string): Promise<void> => {
  const files = rotatedFiles(path).filter(({ isCompressed }) => !isCompressed);
  if (files.length === 0) return;
  const { compressFile } = await import("#log/compressed.ts");
  // oxlint-disable-next-line no-await-in-loop -- one core at most goes into it
  for (const { path: file } of files) await compressFile(file);
};

/** At most one look in this time, and none while nothing is written. */
const LOOK_EVERY_MS = 1000;

/**
 * Keeps a log within its policy until `signal` aborts: resolves then. Rejects when a step fails; may
 * be called again. A fast writer overshoots by what it writes in a second.
 */
export const keepRotated = async (options: RotateOptions, signal: AbortSignal): Promise<void> => {
  if (!Number.isFinite(options.policy.maxBytes)) return;
  while (!signal.aborted) {
    const step = rotateIfDue(options);
    // conmon has let go of the old file where the new one is there.
    if (options.policy.isCompressed && step === "none" && existsSync(options.path)) {
      // oxlint-disable-next-line no-await-in-loop -- before the next rotation renames them
      await compressRotated(options.path);
    }
    {
      // Watched only while nothing happens: a chatty container wakes us once a second, not per line.
      using watcher = new LogWatcher(options.path);
      const onAbort = (): void => watcher.end();
      signal.addEventListener("abort", onAbort, { once: true });
      // It may have come while files were compressed: a signal that is aborted tells nobody any more.
      if (signal.aborted) onAbort();
      // oxlint-disable-next-line no-await-in-loop -- one change after the other
      await watcher.changed();
      signal.removeEventListener("abort", onAbort);
      if (watcher.isOver) return;
    }
    // oxlint-disable-next-line no-await-in-loop -- the pause between two looks
    await sleep(LOOK_EVERY_MS, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }
};
