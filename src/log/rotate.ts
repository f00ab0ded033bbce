/**
 * Rotation: the full file becomes `<path>.1`, older ones move up, the oldest goes; then conmon is told
 * to open its path anew. Between the rename and that moment conmon writes on into the renamed
 * file, so no line is lost; a daemon that dies in between leaves a path without a file, and the next
 * one tells conmon again.
 */
import { renameSync, rmSync, statSync } from "node:fs";
import { sleep } from "#lib/clock.ts";
import { rotatedNumbers } from "#log/files.ts";
import { LogWatcher } from "#log/watch.ts";

export interface RotationPolicy {
  /** Infinity = never rotated. */
  readonly maxBytes: number;
  /** Files that stay, the one being written included. */
  readonly maxFiles: number;
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
  for (const number of rotatedNumbers(path).toReversed()) {
    if (number >= keep) rmSync(`${path}.${number}`, { force: true });
    else renameSync(`${path}.${number}`, `${path}.${number + 1}`);
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
  const step = decideRotation(size, rotatedNumbers(path).length > 0, policy);
  if (step === "rotate") shift(path, policy);
  if (step !== "none") reopen();
  return step;
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
    rotateIfDue(options);
    {
      // Watched only while nothing happens: a chatty container wakes us once a second, not per line.
      using watcher = new LogWatcher(options.path);
      const onAbort = (): void => watcher.end();
      signal.addEventListener("abort", onAbort, { once: true });
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
