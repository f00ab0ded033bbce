/**
 * unix(7) stream sockets that the runtime has no part in, for connections over which little is said. They cost nothing
 * meanwhile: as long as the runtime has a socket of its own it wakes every second, to look for time-outs.
 */
import { chmodSync, closeSync, lstatSync, unlinkSync } from "node:fs";
import { ERRNO, throwErrno } from "#kernel/errno.ts";
import { checked, lastErrno, libc } from "#kernel/libc.ts";
import { sleep } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import { pollSet } from "#kernel/poll-set.ts";
import { untilReadable } from "#kernel/readiness.ts";
import { unixAddress, withShortPath } from "#kernel/socket.ts";

export interface UnixStreamEvents {
  readonly onText: (text: string) => void;
  /** Once, whatever ended it; not before this side's own `close` has returned. */
  readonly onClose: () => void;
}

export interface UnixStream {
  /** In order; what the other side has no room for is kept. Does nothing once either side has closed. */
  write(text: string): void;
  close(): void;
}

/** A connection whose events come from then on. */
export type OpenUnixStream = (events: UnixStreamEvents) => UnixStream;

const AF_UNIX = 1;
const SOCK_STREAM_FLAGS = 0o2004001; // SOCK_STREAM, non-blocking, close-on-exec
const ACCEPT_FLAGS = 0o2004000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const BACKLOG = 16;

/** No descriptor or memory is left: others give theirs back, and who wants in waits in the backlog. */
const SCARCE: readonly unknown[] = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"];
const SCARCE_PAUSE_MS = 100;

/** Its content is used up before the next read. */
const buffer = Buffer.allocUnsafeSlow(64 * 1024);

class Stream implements UnixStream {
  readonly #fd: number;
  readonly #events: UnixStreamEvents;
  readonly #stop = new AbortController();
  readonly #decoder = new TextDecoder();
  /** Written, and not with the kernel yet. */
  #rest: Uint8Array[] = [];

  constructor(fd: number, events: UnixStreamEvents) {
    this.#fd = fd;
    this.#events = events;
    void this.#read();
  }

  get #isClosed(): boolean {
    return this.#stop.signal.aborted;
  }

  write(text: string): void {
    if (this.#isClosed) return;
    this.#rest.push(Buffer.from(text));
    // Otherwise it waits its turn. No descriptor is left to wait with: its end tells.
    if (this.#rest.length === 1) this.#flush().catch(() => this.close());
  }

  close(): void {
    this.#stop.abort();
  }

  async #read(): Promise<void> {
    try {
      for (let isOpen = true; isOpen;) {
        // oxlint-disable-next-line no-await-in-loop -- one message after the other
        await untilReadable(this.#fd, this.#stop.signal);
        isOpen = this.#take();
      }
    } catch {
      // Closed here, or no descriptor is left to wait with: its end tells.
    }
    this.close();
    closeSync(this.#fd);
    this.#events.onClose();
  }

  /** False at the other side's end. */
  #take(): boolean {
    while (!this.#isClosed) {
      const length = Number(libc().recv(this.#fd, buffer, buffer.length, MSG_DONTWAIT));
      if (length < 0) return lastErrno() === ERRNO["EAGAIN"];
      if (length === 0) return false;
      this.#events.onText(this.#decoder.decode(buffer.subarray(0, length), { stream: true }));
    }
    return false;
  }

  async #flush(): Promise<void> {
    const { signal } = this.#stop;
    for (let first = this.#rest[0]; first !== undefined && !this.#isClosed; first = this.#rest[0]) {
      const sent = Number(libc().send(this.#fd, first, first.length, MSG_DONTWAIT | MSG_NOSIGNAL));
      if (sent === first.length) this.#rest.shift();
      else if (sent >= 0) this.#rest[0] = first.subarray(sent);
      else if (lastErrno() !== ERRNO["EAGAIN"]) return this.close();
      // oxlint-disable-next-line no-await-in-loop -- until there is room again
      else await pollSet().wait(this.#fd, { signal, isForWriting: true });
    }
    if (this.#isClosed) this.#rest = [];
  }
}

const openOn =
  (fd: number): OpenUnixStream =>
  (events) =>
    new Stream(fd, events);

/** Throws with `details.errno` when nobody listens (ENOENT, ECONNREFUSED). The result must be opened. */
export const connectUnixStream = (path: string): OpenUnixStream => {
  const fd = checked(libc().socket(AF_UNIX, SOCK_STREAM_FLAGS, 0), "socket", path);
  try {
    withShortPath(path, (shortPath) => {
      const address = unixAddress(shortPath);
      checked(libc().connect(fd, address, address.length), "connect", path);
    });
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return openOn(fd);
};

const isScarce = (error: unknown): boolean =>
  error instanceof NaruError && SCARCE.includes(error.details["errno"]);

const accept = (fd: number, onConnection: (open: OpenUnixStream) => void): void => {
  for (;;) {
    const connected = libc().accept4(fd, null, null, ACCEPT_FLAGS);
    if (connected >= 0) {
      onConnection(openOn(connected));
      continue;
    }
    const errno = lastErrno();
    // ECONNABORTED: gone before it was taken.
    if (errno === ERRNO["EAGAIN"]) return;
    if (errno !== ERRNO["ECONNABORTED"]) throwErrno("accept4", errno, `descriptor ${fd}`);
  }
};

/**
 * Listens at `path`, which must not exist, for those who may by `mode`. Throws with `details.errno`. `close` takes the
 * name away unless another socket has taken its place; connections stay.
 */
export const listenUnixStream = (
  path: string,
  mode: number,
  onConnection: (open: OpenUnixStream) => void,
): { close(): void } => {
  const { socket, bind, listen } = libc();
  const fd = checked(socket(AF_UNIX, SOCK_STREAM_FLAGS, 0), "socket", path);
  try {
    withShortPath(path, (shortPath) => {
      const address = unixAddress(shortPath);
      checked(bind(fd, address, address.length), "bind", path);
    });
    // Nobody gets in before it listens.
    chmodSync(path, mode);
    checked(listen(fd, BACKLOG), "listen", path);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  const own = lstatSync(path).ino;
  const stop = new AbortController();
  const run = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- one connection after the other
        await untilReadable(fd, stop.signal);
        accept(fd, onConnection);
      } catch (error) {
        if (!isScarce(error)) throw error;
        // oxlint-disable-next-line no-await-in-loop -- the next try's time
        await sleep(SCARCE_PAUSE_MS, stop.signal);
      }
    }
  };
  void run()
    .catch((error: unknown) => {
      if (!stop.signal.aborted) throw error;
    })
    .finally(() => closeSync(fd));
  return {
    close: () => {
      if (stop.signal.aborted) return;
      stop.abort();
      if (lstatSync(path, { throwIfNoEntry: false })?.ino === own) unlinkSync(path);
    },
  };
};
