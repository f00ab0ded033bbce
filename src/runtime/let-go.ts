/**
 * Lets a process go that waits at crun's exec FIFO: a byte written there saves a whole process (crun(1), "start";
 * its absence tells the runtime that the container runs).
 */
import { closeSync, constants, openSync, unlinkSync, writeSync } from "node:fs";
import { sleep } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import type { ProcessKernel } from "#kernel/kernel.ts";
import type { CreatedProcess } from "#runtime/runtime.ts";

const ATTEMPT_MS = 0.5;
const TIMEOUT_MS = 10_000;
/** The FIFO is there when the runtime has read its config; its process waits some milliseconds later. */
const EARLY_ATTEMPT_MS = 1;

const errnoOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

const openToWrite = (fifo: string): number =>
  openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK);

const release = (fifo: string, fd: number): void => {
  try {
    unlinkSync(fifo);
    writeSync(fd, "0");
  } finally {
    closeSync(fd);
  }
};

/** For a process that the runtime has made. Throws failed_precondition when it has ended or does not wait. */
export const letGo = async (
  kernel: Pick<ProcessKernel, "startTime">,
  fifo: string,
  { pid }: CreatedProcess,
): Promise<void> => {
  for (let waitedMs = 0; ; waitedMs += ATTEMPT_MS) {
    try {
      return release(fifo, openToWrite(fifo));
    } catch (cause) {
      if (errnoOf(cause) !== "ENXIO") {
        const message = "the container's process is not waiting to start";
        throw new NaruError("failed_precondition", message, { cause });
      }
      if (kernel.startTime(pid) === undefined || waitedMs > TIMEOUT_MS) {
        const message = "the container's process ended before it was started";
        throw new NaruError("failed_precondition", message, { cause });
      }
    }
    // oxlint-disable-next-line no-await-in-loop -- the kernel tells nobody that a FIFO has a reader
    await sleep(ATTEMPT_MS);
  }
};

/**
 * For a process that the runtime is about to make: the byte waits in the FIFO, and the process goes on without
 * waiting for its monitor to tell of it and for this one to hear. `before` is called right before. False when `isOver`
 * came first. What `before` throws passes through; the process waits then.
 */
export const letGoEarly = async (
  fifo: string,
  before: () => void,
  isOver: () => boolean,
): Promise<boolean> => {
  while (!isOver()) {
    // oxlint-disable-next-line no-await-in-loop -- see above
    await sleep(EARLY_ATTEMPT_MS);
    let fd: number;
    try {
      fd = openToWrite(fifo);
    } catch (error) {
      if (["ENOENT", "ENXIO"].includes(errnoOf(error) ?? "")) continue;
      throw error;
    }
    try {
      before();
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    release(fifo, fd);
    return true;
  }
  return false;
};
