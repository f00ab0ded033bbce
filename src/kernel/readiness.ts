/**
 * Waits for a descriptor that is not a stream (pidfd, eventfd, inotify) on the runtime's own event
 * loop: no thread, no polling.
 *
 * The runtime offers no such call, but takes any descriptor as a socket and watches it by epoll. When
 * the kernel reports it readable, the runtime tries recv(2), gets ENOTSOCK, and closes it: that close
 * is the news. Hence it is given a duplicate, and each duplicate serves once.
 */
import { connectDescriptor } from "#kernel/descriptor-socket.ts";
import { ERRNO, throwErrno } from "#kernel/errno.ts";
import { checked, duplicate, lastErrno, libc } from "#kernel/libc.ts";

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

const watchOnce = async (fd: number, signal: AbortSignal | undefined): Promise<void> => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const socket = await connectDescriptor({
    fd: duplicate(fd),
    socket: { close: () => resolve(), data: () => undefined },
  });
  const onAbort = (): void => socket.terminate();
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  await promise;
  signal?.removeEventListener("abort", onAbort);
};

/** Resolves when `fd` is readable; rejects with the signal's reason when aborted first. */
export const untilReadable = async (fd: number, signal?: AbortSignal): Promise<void> => {
  signal?.throwIfAborted();
  while (!isReadable(fd)) {
    // oxlint-disable-next-line no-await-in-loop -- one wait after the other is the point
    await watchOnce(fd, signal);
    signal?.throwIfAborted();
  }
};
