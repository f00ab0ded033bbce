/**
 * All descriptors that this thread waits for, in one epoll(7) instance of our own. Only that one is on the runtime's
 * event loop, so a wait more costs a descriptor in the kernel and nothing else.
 */
import { closeSync } from "node:fs";
import { connectDescriptor } from "#kernel/descriptor-socket.ts";
import { checked, duplicate, libc } from "#kernel/libc.ts";
import { type Waker, openRingWaker } from "#kernel/poll-ring.ts";

const EPOLL_CLOEXEC = 0o2000000;
const [ADD, DELETE] = [1, 2];
const [EPOLLIN, EPOLLOUT] = [1, 4];
/** Once told, it is not told again. */
const EPOLLONESHOT = 1 << 30;
/** struct epoll_event is packed on x86-64 alone. */
const [EVENT_BYTES, DATA_AT] = process.arch === "x64" ? [12, 4] : [16, 8];
const EVENTS_AT_ONCE = 64;
const MOST_KEY = 0xffffffff;

/**
 * Any descriptor is taken as a socket by the runtime, which watches it by epoll. When the kernel reports it readable,
 * the runtime tries recv(2), gets ENOTSOCK, and closes it: that close is the news. Hence it is given a duplicate, and
 * each duplicate serves once.
 */
const socketWaker = (fd: number): Waker => {
  let end: (() => void) | undefined;
  let isClosed = false;
  return {
    wait: async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const handler = { close: () => resolve(), data: () => undefined };
      const socket = await connectDescriptor({ fd: duplicate(fd), socket: handler });
      end = () => socket.terminate();
      if (isClosed) end();
      await promise;
      end = undefined;
    },
    close: () => {
      isClosed = true;
      end?.();
    },
  };
};

export interface PollOptions {
  readonly signal?: AbortSignal | undefined;
  /** Until there is room to write, instead of something to read. */
  readonly isForWriting?: boolean;
}

interface Wait {
  readonly fd: number;
  readonly onReady: () => void;
  readonly onFailure: (error: unknown) => void;
}

type OpenWaker = (fd: number) => Waker | undefined;

export class PollSet {
  readonly #epoll = checked(libc().epoll_create1(EPOLL_CLOEXEC), "epoll_create1", "descriptors");
  readonly #waits = new Map<number, Wait>();
  readonly #events = Buffer.allocUnsafeSlow(EVENT_BYTES * EVENTS_AT_ONCE);
  #waker: Waker;
  #isClosed = false;
  #next = 1;

  /** `open` may be unable to, now or later: then the descriptor is a socket to the runtime. */
  constructor(open: OpenWaker) {
    this.#waker = open(this.#epoll) ?? socketWaker(this.#epoll);
    void this.#run();
  }

  /** Holds nothing any more: the next wait is one of another set. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Resolves when `fd` is readable, or as soon as `signal` is aborted. The same descriptor may be waited for twice,
   * and closed meanwhile.
   */
  wait(fd: number, { signal, isForWriting = false }: PollOptions = {}): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const wait = { fd: duplicate(fd), onReady: resolve, onFailure: reject };
    const key = this.#add(wait, isForWriting ? EPOLLOUT : EPOLLIN);
    const onAbort = (): void => this.#take(key)?.onReady();
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
    return promise.finally(() => signal?.removeEventListener("abort", onAbort));
  }

  #control(operation: number, key: number, fd: number, events = 0): void {
    const event = Buffer.alloc(EVENT_BYTES);
    event.writeUInt32LE(events | EPOLLONESHOT, 0);
    event.writeUInt32LE(key, DATA_AT);
    checked(libc().epoll_ctl(this.#epoll, operation, fd, event), "epoll_ctl", `descriptor ${fd}`);
  }

  #add(wait: Wait, events: number): number {
    const key = this.#next;
    this.#next = key === MOST_KEY ? 1 : key + 1;
    try {
      this.#control(ADD, key, wait.fd, events);
    } catch (error) {
      closeSync(wait.fd);
      throw error;
    }
    this.#waits.set(key, wait);
    return key;
  }

  /** Undefined for a wait that is over already. */
  #take(key: number): Wait | undefined {
    const wait = this.#waits.get(key);
    if (wait === undefined) return undefined;
    this.#waits.delete(key);
    // The file may be open elsewhere, and then a close alone does not take it out of the set.
    this.#control(DELETE, key, wait.fd);
    closeSync(wait.fd);
    // Who waits again does so within this turn.
    if (this.#waits.size === 0) setImmediate(() => this.#closeWhenEmpty());
    return wait;
  }

  #collect(): void {
    const { epoll_wait: look } = libc();
    const count = checked(look(this.#epoll, this.#events, EVENTS_AT_ONCE, 0), "epoll_wait", "set");
    for (let index = 0; index < count; index += 1) {
      this.#take(this.#events.readUInt32LE(index * EVENT_BYTES + DATA_AT))?.onReady();
    }
  }

  async #run(): Promise<void> {
    let hasAnother = true;
    while (!this.#isClosed) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- one look after the other is the point
        await this.#waker.wait();
        if (!this.#isClosed) this.#collect();
      } catch (error) {
        this.#waker.close();
        this.#waker = socketWaker(this.#epoll);
        if (!hasAnother) this.#fail(error);
        hasAnother = false;
      }
    }
  }

  /** There is no descriptor left for a socket either: who waits is told. */
  #fail(error: unknown): void {
    for (const key of this.#waits.keys()) this.#take(key)?.onFailure(error);
    this.#closeWhenEmpty();
  }

  #closeWhenEmpty(): void {
    if (this.#isClosed || this.#waits.size > 0) return;
    this.#isClosed = true;
    this.#waker.close();
    closeSync(this.#epoll);
  }
}

let current: PollSet | undefined;

/** The set of this thread. It keeps the runtime from ending while somebody waits. */
export const pollSet = (): PollSet => {
  if (current === undefined || current.isClosed) current = new PollSet(openRingWaker);
  return current;
};
