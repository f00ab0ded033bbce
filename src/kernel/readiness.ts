/**
 * Waits for a descriptor that is not a stream (pidfd, eventfd, inotify) on the runtime's own event
 * loop: no thread, no polling.
 */
import { ERRNO, throwErrno } from "#kernel/errno.ts";
import { checked, lastErrno, libc } from "#kernel/libc.ts";
import { pollSet } from "#kernel/poll-set.ts";

const POLLIN = 1;

/** poll(2) without waiting. True also for a hang-up or an error: a read would not block. */
export const isReadable = (fd: number): boolean => {
  const request = new Int32Array([fd, POLLIN]); // struct pollfd, little-endian
  return checked(libc().poll(request, 1, 0), "poll", `descriptor ${fd}`) > 0;
};

/** poll(2) without an end. Blocks the thread: for children that do nothing else. */
export const waitReadable = (fd: number): void => {
  const request = new Int32Array([fd, POLLIN]);
  // The runtime's threads stop each other by signals.
  while (libc().poll(request, 1, -1) < 0) {
    const errno = lastErrno();
    if (errno !== ERRNO["EINTR"]) throwErrno("poll", errno, `descriptor ${fd}`);
  }
};

/** Resolves when `fd` is readable; rejects with the signal's reason when aborted first. */
export const untilReadable = async (fd: number, signal?: AbortSignal): Promise<void> => {
  signal?.throwIfAborted();
  while (!isReadable(fd)) {
    // oxlint-disable-next-line no-await-in-loop -- one wait after the other is the point
    await pollSet().wait(fd, { signal });
    signal?.throwIfAborted();
  }
};
