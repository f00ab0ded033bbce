/**
 * Changes in directories by inotify(7). The runtime's own `fs.watch` drops an event that follows
 * another of the same file within a millisecond, so a reader who waits for the last write of a file
 * may wait for ever; here none is lost.
 *
 * One inotify instance serves all watchers (the system allows 128 of them by default), opened at the
 * first watch and idle when there is none.
 */
import { readSync } from "node:fs";
import { sleep } from "#lib/clock.ts";
import { checked, lastErrno, libc } from "#kernel/libc.ts";
import { ERRNO, throwErrno } from "#kernel/errno.ts";
import { cString } from "#kernel/name-bytes.ts";
import { untilReadable } from "#kernel/readiness.ts";

/** What happened: a name's content changed, a name appeared (created or moved here), the directory went. */
export type DirectoryChange = "modified" | "appeared" | "gone";

export type ChangeListener = (change: DirectoryChange, name: string) => void;

export interface WatchKernel {
  /**
   * Tells of changes from now until disposed. Throws not_found. Listeners must not throw. `arrivals`: at least of
   * names that are moved there, as files are that are whole when they are seen; writing them wakes nobody then.
   */
  watchDirectory(path: string, listener: ChangeListener, only?: "arrivals"): Disposable;
}

const CLOEXEC_NONBLOCK = 0o2004000;
const IN_MODIFY = 0x2;
const IN_MOVED_TO = 0x80;
const IN_CREATE = 0x100;
const IN_DELETE_SELF = 0x400;
const IN_MOVE_SELF = 0x800;
const IN_Q_OVERFLOW = 0x4000;
const IN_IGNORED = 0x8000;
const IN_ONLYDIR = 0x1000000;
/** A second watch of the same directory adds to what the first asked for. */
const IN_MASK_ADD = 0x20000000;

const ARRIVALS = IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_MASK_ADD;
const CHANGES = ARRIVALS | IN_MODIFY | IN_CREATE;
const HEADER_BYTES = 16;

const watchers = new Map<number, Set<ChangeListener>>();
let instance = -1;
let stop: AbortController | undefined;
const buffer = Buffer.allocUnsafeSlow(64 * 1024);

const changeOf = (mask: number): DirectoryChange => {
  if ((mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) !== 0) return "gone";
  return (mask & (IN_CREATE | IN_MOVED_TO)) === 0 ? "modified" : "appeared";
};

const tell = (descriptor: number, mask: number, name: string): void => {
  // The kernel's queue was full: everything may have changed.
  const listeners =
    (mask & IN_Q_OVERFLOW) === 0
      ? watchers.get(descriptor)
      : new Set([...watchers.values()].flatMap((set) => [...set]));
  for (const listener of listeners ?? []) {
    try {
      listener(changeOf(mask), name);
    } catch (error) {
      // One listener's mistake is told as an unhandled rejection and must not cost others their news.
      void Promise.reject(error);
    }
  }
  if ((mask & IN_IGNORED) !== 0) watchers.delete(descriptor);
};

/** struct inotify_event: wd, mask, cookie, length of the name, the name padded with NULs. */
const readEvents = (): void => {
  const length = readSync(instance, buffer);
  for (let at = 0; at + HEADER_BYTES <= length;) {
    const descriptor = buffer.readInt32LE(at);
    const mask = buffer.readUInt32LE(at + 4);
    const nameBytes = buffer.readUInt32LE(at + 12);
    const start = at + HEADER_BYTES;
    const name = buffer.toString("utf8", start, start + nameBytes).replace(/\0+$/, "");
    at = start + nameBytes;
    tell(descriptor, mask, name);
  }
};

/** Where waiting for the descriptor fails (no descriptors left), looking now and then must do. */
const FALLBACK_MS = 50;

const isNothingThere = (error: unknown): boolean =>
  (error as NodeJS.ErrnoException).code === "EAGAIN";

/** Must not end before it is told to: a watch that died in silence would be waited on for ever. */
const run = async (signal: AbortSignal): Promise<void> => {
  while (!signal.aborted) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- one wait after the other
      await untilReadable(instance, signal);
    } catch {
      if (signal.aborted) return;
      // oxlint-disable-next-line no-await-in-loop -- the pause between two looks
      await sleep(FALLBACK_MS);
    }
    try {
      readEvents();
    } catch (error) {
      if (!isNothingThere(error)) throw error;
    }
  }
};

const forget = (descriptor: number, listener: ChangeListener): void => {
  const listeners = watchers.get(descriptor);
  if (listeners?.delete(listener) !== true || listeners.size > 0) return;
  watchers.delete(descriptor);
  const { inotify_rm_watch: remove } = libc();
  // EINVAL: the directory has gone, and its watch with it.
  if (remove(instance, descriptor) < 0 && lastErrno() !== ERRNO["EINVAL"]) {
    throwErrno("inotify_rm_watch", lastErrno(), "directory");
  }
  if (watchers.size === 0) stop?.abort();
};

const watchDirectory: WatchKernel["watchDirectory"] = (path, listener, only) => {
  if (instance < 0)
    instance = checked(libc().inotify_init1(CLOEXEC_NONBLOCK), "inotify_init1", path);
  const descriptor = checked(
    libc().inotify_add_watch(instance, cString(path), only === "arrivals" ? ARRIVALS : CHANGES),
    "inotify_add_watch",
    path,
  );
  // One object for each call: the same function may be given twice.
  const own: ChangeListener = (change, name) => listener(change, name);
  const listeners = watchers.get(descriptor) ?? new Set();
  watchers.set(descriptor, listeners.add(own));
  if (stop === undefined || stop.signal.aborted) {
    stop = new AbortController();
    void run(stop.signal);
  }
  return { [Symbol.dispose]: () => forget(descriptor, own) };
};

export const watchKernel: WatchKernel = { watchDirectory };
