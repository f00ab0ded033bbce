/** Builds when things go wrong: the disk full, contexts made to do harm. */
import { expect, test } from "bun:test";
import { readFileSync, readdirSync } from "node:fs";

import { until } from "../harness/process.ts";
import { writeTar, type TarEntry } from "../harness/tar.ts";
import { builds, dockerfile, nothingRemains, openBuild, post, sendChunk } from "./building.ts";
import { withWorld } from "./world.ts";

const FULL = /no space left|disk is full|ENOSPC/i;

test("disk full in a step: it fails in words, its layer goes, a small build works", async () => {
  await withWorld(
    async (w) => {
      const reply = await post(w, [dockerfile("RUN dd if=/dev/zero of=/fill bs=1M count=200")]);
      expect(reply.text).toMatch(FULL);
      expect(reply.text).toContain("returned a non-zero code");
      await nothingRemains(w);
      // What a failed step wrote is out of sight at once, and deleted right after.
      await until("room for a small build", () =>
        builds(w).then(
          () => true,
          () => false,
        ),
      );
    },
    { dataMiB: 64 },
  );
}, 400_000);

test("disk full while the context comes: it fails in words, the context goes", async () => {
  await withWorld(
    async (w) => {
      const big = { name: "big", body: Buffer.alloc(100 << 20, 7) };
      for (let turn = 0; turn < 2; turn += 1) {
        const reply = await post(w, [dockerfile("COPY big /"), big]);
        expect(reply.text).toMatch(FULL);
        await nothingRemains(w);
      }
      await builds(w);
    },
    { dataMiB: 64 },
  );
}, 400_000);

test("disk full while a layer is made of the context: it fails in words, the layer goes", async () => {
  await withWorld(
    async (w) => {
      const big = { name: "big", body: Buffer.alloc(24 << 20, 7) };
      const reply = await post(w, [dockerfile("COPY big /one", "COPY big /two"), big]);
      expect(reply.text).toMatch(FULL);
      await nothingRemains(w);
      expect((await w.api("POST", "/build/prune?all=1")).status).toBe(200);
      await builds(w);
    },
    { dataMiB: 64 },
  );
}, 400_000);

const PLAIN = [dockerfile("COPY f /f"), { name: "f", body: "f" }] as const;

/** By what is tried: entries, and what the answer says. */
const HOSTILE: readonly (readonly [what: string, entries: readonly TarEntry[], says: RegExp])[] = [
  ["a name with ..", [...PLAIN, { name: "../escaped", body: "x" }], /leads out of the archive/],
  [
    "a hard link to ..",
    [...PLAIN, { name: "h", type: "hardlink", target: "../../etc/passwd" }],
    /leads out|cannot be linked/,
  ],
  [
    "a hard link to the host",
    [...PLAIN, { name: "h", type: "hardlink", target: "/etc/passwd" }],
    /cannot be linked/,
  ],
  ["a device", [...PLAIN, { name: "disk", type: "char", device: [1, 8] }], /is a device/],
  [
    "a file through a symlink to the host",
    [
      ...PLAIN,
      { name: "l", type: "symlink", target: "/etc" },
      { name: "l/naru-crash-escaped", body: "x" },
    ],
    /Successfully built|not a directory|non-directory|no such file/i,
  ],
  [
    "a loop of symlinks",
    [
      dockerfile("COPY a /a"),
      { name: "a", type: "symlink", target: "b" },
      { name: "b", type: "symlink", target: "a" },
    ],
    /too many (levels of )?symbolic links|ELOOP|does not exist/i,
  ],
  [
    "a directory that links to itself",
    [
      dockerfile("COPY d /d", "RUN test -L /d/d"),
      { name: "d", type: "dir" },
      { name: "d/d", type: "symlink", target: "." },
    ],
    /Successfully built/,
  ],
  [
    "an absolute link, copied",
    [dockerfile("COPY p /p"), { name: "p", type: "symlink", target: "/etc/hostname" }],
    /does not exist|no such file/i,
  ],
];

test("contexts made to do harm are refused in words or stay within", async () => {
  await withWorld(async (w) => {
    for (const [what, entries, says] of HOSTILE) {
      const reply = await post(w, entries);
      expect(`${what}: ${reply.text}`).toMatch(says);
      // Large ones go another way: through a child process, into a tree that stays.
      const large = await post(w, [...entries, { name: "zz-large", body: Buffer.alloc(2 << 20) }]);
      expect(`${what}, large: ${large.text}`).toMatch(says);
    }
    expect((await w.world.exec(["sh", "-c", "ls /etc/naru-crash-escaped"])).code).not.toBe(0);
    await nothingRemains(w);
  });
}, 400_000);

/** Peak of memory that is no file's, of the daemon and its children, in MiB. */
const watchMemory = (pid: () => number): { peak(): number } & Disposable => {
  let most = 0;
  const timer = setInterval(() => {
    let kib = 0;
    for (const name of readdirSync("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      try {
        const text = readFileSync(`/proc/${name}/status`, "utf8");
        const parent = Number(/^PPid:\s+(\d+)/m.exec(text)?.[1]);
        if (Number(name) !== pid() && parent !== pid()) continue;
        kib += Number(/^RssAnon:\s+(\d+)/m.exec(text)?.[1] ?? 0);
      } catch {
        // It ended meanwhile.
      }
    }
    most = Math.max(most, kib / 1024);
  }, 50);
  return { peak: () => most, [Symbol.dispose]: () => clearInterval(timer) };
};

/** Processor time of the thread that answers requests: what another request waits for, however busy the machine is. */
const turnsMs = (pid: number): number =>
  Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "utf8").split(" ")[0]) / 1e6;

test("a context of a million names is refused, in bounded memory, while others are served", async () => {
  await withWorld(
    async (w) => {
      using memory = watchMemory(() => w.pid());
      const { socket, answer } = openBuild(w);
      await sendChunk(socket, writeTar([dockerfile("COPY f0 /")]).subarray(0, -1024));
      let isAnswered = false;
      void answer.then(() => {
        isAnswered = true;
      });
      let slowestMs = 0;
      for (let start = 0; start < 1_000_000 && !isAnswered; start += 1_000) {
        const entries = Array.from({ length: 1_000 }, (_, index): TarEntry => ({
          name: `f${start + index}`,
        }));
        await sendChunk(socket, writeTar(entries).subarray(0, -1024));
        if (start % 50_000 !== 0) continue;
        const before = turnsMs(w.pid());
        // The rest of the context is sent once this was answered.
        expect((await w.api("GET", "/_ping")).status).toBe(200);
        slowestMs = Math.max(slowestMs, turnsMs(w.pid()) - before);
      }
      if (!socket.destroyed) socket.end("0\r\n\r\n");
      expect(await answer).toContain(
        "more than 500000 entries: leave files out with .dockerignore",
      );
      expect(memory.peak()).toBeLessThan(600);
      expect(slowestMs).toBeLessThan(200);
      await nothingRemains(w);
    },
    // In memory: half a million files are quick there.
    { dataMiB: 2_048 },
  );
}, 400_000);
