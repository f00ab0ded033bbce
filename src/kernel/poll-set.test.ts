/** Many waits at once, by io_uring and by a socket: each told once, none left behind. */
import { expect, test } from "bun:test";
import { closeSync, readdirSync, readSync, readlinkSync, writeSync } from "node:fs";

import { checked, libc } from "#kernel/libc.ts";
import { openRingWaker } from "#kernel/poll-ring.ts";
import { PollSet } from "#kernel/poll-set.ts";

const CLOEXEC_NONBLOCK = 0o2004000;
const one = new Uint8Array(new BigUint64Array([1n]).buffer);

const eventfd = (): number => checked(libc().eventfd(0, CLOEXEC_NONBLOCK), "eventfd", "test");
/** Other tests of this process open and close files and pipes meanwhile; sets, rings and eventfds are ours. */
const openCount = (): number =>
  readdirSync("/proc/self/fd").filter((fd) => {
    const target = linkOf(`/proc/self/fd/${fd}`);
    return /eventpoll|io_uring|eventfd/.test(target);
  }).length;
/** Empty for what is closed by now. */
const linkOf = (path: string): string => {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
};
const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};
const pending = Symbol("pending");
const stateOf = async (wait: Promise<void>): Promise<unknown> => {
  await turns();
  return await Promise.race([wait, Promise.resolve(pending)]);
};

const wakers = {
  io_uring: openRingWaker,
  "a socket": () => undefined,
  "io_uring that fails later": (fd: number) => {
    const waker = openRingWaker(fd);
    let left = 2;
    return waker === undefined
      ? undefined
      : { ...waker, wait: () => (left-- > 0 ? waker.wait() : Promise.reject(new Error("gone"))) };
  },
};

for (const [name, open] of Object.entries(wakers)) {
  test(`each wait is told once, in any order (${name})`, async () => {
    const before = openCount();
    const set = new PollSet(open);
    const fds = Array.from({ length: 200 }, eventfd);
    const told: number[] = [];
    const waits = fds.map((fd, index) => set.wait(fd).then(() => void told.push(index)));
    expect(await stateOf(Promise.race(waits))).toBe(pending);
    const order = fds.map((_, index) => (index * 77) % fds.length);
    for (const [at, index] of order.entries()) {
      writeSync(fds[index]!, one);
      // One after the other at first, then all at once.
      if (at < 20) await waits[index];
    }
    await Promise.all(waits);
    expect(told.toSorted((a, b) => a - b)).toEqual(fds.map((_, index) => index));
    for (const fd of fds) closeSync(fd);
    await turns();
    expect(set.isClosed).toBe(true);
    await Bun.sleep(10);
    expect(openCount()).toBe(before);
  });

  test(`the same descriptor again, twice at once, and one that is given up (${name})`, async () => {
    const set = new PollSet(open);
    const [kept, fd] = [eventfd(), eventfd()];
    const stop = new AbortController();
    const keeping = set.wait(kept, { signal: stop.signal });
    for (let round = 0; round < 50; round += 1) {
      const both = [set.wait(fd), set.wait(fd)];
      writeSync(fd, one);
      await Promise.all(both);
      readSync(fd, new Uint8Array(8));
      expect(await stateOf(set.wait(fd, { signal: AbortSignal.abort() }))).toBeUndefined();
    }
    expect(await stateOf(keeping)).toBe(pending);
    expect(set.isClosed).toBe(false);
    stop.abort();
    await keeping;
    await turns();
    expect(set.isClosed).toBe(true);
    closeSync(kept);
    closeSync(fd);
  });
}

test("what cannot be waited for is refused, and nothing is left", async () => {
  const set = new PollSet(openRingWaker);
  expect(() => set.wait(123_456)).toThrow("descriptor 123456");
  const fd = eventfd();
  writeSync(fd, one);
  await set.wait(fd);
  closeSync(fd);
  await turns();
  expect(set.isClosed).toBe(true);
});
