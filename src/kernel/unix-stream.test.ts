/** Unix streams beside the runtime's: whole and in order, also when the other side is slow, with every end told once. */
import { afterAll, expect, test } from "bun:test";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { checked, libc } from "#kernel/libc.ts";
import {
  type OpenUnixStream,
  type UnixStream,
  connectUnixStream,
  listenUnixStream,
} from "#kernel/unix-stream.ts";

const folder = mkdtempSync(join(tmpdir(), "naru-stream-"));
afterAll(() => rmSync(folder, { recursive: true }));
const RLIMIT_NOFILE = 7;
let count = 0;
const freshPath = (): string => join(folder, `s${(count += 1)}`);

interface Opened {
  readonly stream: UnixStream;
  readonly parts: string[];
  readonly closed: Promise<void>;
}

const opened = (open: OpenUnixStream): Opened => {
  const parts: string[] = [];
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  let ends = 0;
  const onClose = (): void => {
    ends += 1;
    if (ends > 1) throw new Error("the end was told twice");
    resolve();
  };
  return { stream: open({ onText: (text) => parts.push(text), onClose }), parts, closed };
};

const pair = async (path: string): Promise<{ one: Opened; other: Opened; close: () => void }> => {
  const { promise, resolve } = Promise.withResolvers<Opened>();
  const server = listenUnixStream(path, 0o600, (open) => resolve(opened(open)));
  const one = opened(connectUnixStream(path));
  return { one, other: await promise, close: () => server.close() };
};

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await Bun.sleep(1);
};

test("text goes both ways whole and in order, more than the kernel takes at once", async () => {
  const { one, other, close } = await pair(freshPath());
  const lines = Array.from({ length: 2000 }, (_, at) => `${at} ${"나루€".repeat(500)}\n`);
  for (const line of lines) one.stream.write(line);
  other.stream.write("back");
  const whole = lines.join("");
  await until(() => other.parts.join("").length >= whole.length);
  expect(other.parts.join("")).toBe(whole);
  await until(() => one.parts.length > 0);
  expect(one.parts.join("")).toBe("back");
  one.stream.close();
  one.stream.close();
  await Promise.all([one.closed, other.closed]);
  one.stream.write("nobody");
  other.stream.write("nobody");
  close();
});

test("what was written before the end arrives; a peer that breaks off is an end", async () => {
  const path = freshPath();
  const { promise, resolve } = Promise.withResolvers<Opened>();
  const server = listenUnixStream(path, 0o600, (open) => resolve(opened(open)));
  const client = net.connect(path);
  client.end("last words");
  const peer = await promise;
  await peer.closed;
  expect(peer.parts.join("")).toBe("last words");
  server.close();
  const { one, other, close } = await pair(freshPath());
  // Nobody reads it: the close is a reset.
  other.stream.close();
  one.stream.write("x".repeat(1 << 22));
  await one.closed;
  close();
});

/** Open until the limit, which is near; `free` gives all of it back. */
const openAll = (): { free(): void } => {
  const limit = new BigUint64Array(2);
  checked(libc().getrlimit(RLIMIT_NOFILE, limit), "getrlimit", "test");
  const [soft = 0n, hard = 0n] = limit;
  const highest = Math.max(...readdirSync("/proc/self/fd").map(Number));
  const near = new BigUint64Array([BigInt(highest + 20), hard]);
  checked(libc().setrlimit(RLIMIT_NOFILE, near), "setrlimit", "test");
  const fds: number[] = [];
  for (let fd = libc().eventfd(0, 0); fd >= 0; fd = libc().eventfd(0, 0)) fds.push(fd);
  return {
    free: () => {
      checked(libc().setrlimit(RLIMIT_NOFILE, new BigUint64Array([soft, hard])), "setrlimit", "");
      for (const fd of fds.splice(0)) closeSync(fd);
    },
  };
};

test("a listener outlives a time in which no descriptor is left", async () => {
  const path = freshPath();
  const accepted: Opened[] = [];
  const server = listenUnixStream(path, 0o600, (open) => accepted.push(opened(open)));
  const early = opened(connectUnixStream(path));
  const all = openAll();
  try {
    expect(() => connectUnixStream(path)).toThrow("EMFILE");
    await Bun.sleep(50);
  } finally {
    all.free();
  }
  const late = opened(connectUnixStream(path));
  late.stream.write("in");
  await until(() => accepted.some(({ parts }) => parts.join("") === "in"));
  early.stream.close();
  late.stream.close();
  await Promise.all([early, late, ...accepted].map(({ closed }) => closed));
  server.close();
});

test("a stream that cannot wait for room is closed", async () => {
  const { one, other, close } = await pair(freshPath());
  const all = openAll();
  try {
    one.stream.write("x".repeat(1 << 22));
    await one.closed;
  } finally {
    all.free();
  }
  await other.closed;
  close();
});

test("the name is for whom it is meant, goes with its listener, and stays with another's", async () => {
  const path = freshPath();
  const first = listenUnixStream(path, 0o600, () => undefined);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(() => listenUnixStream(path, 0o600, () => undefined)).toThrow("in use");
  first.close();
  expect(existsSync(path)).toBe(false);
  expect(() => connectUnixStream(path)).toThrow("does not exist");
  const second = listenUnixStream(path, 0o600, () => undefined);
  rmSync(path);
  writeFileSync(path, "another's");
  second.close();
  expect(existsSync(path)).toBe(true);
  const long = join(folder, "l".repeat(100), "s");
  expect(() => connectUnixStream(long)).toThrow();
});
