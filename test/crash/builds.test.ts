/** Builds when things go wrong: the disk full, contexts made to do harm, clients that leave, secrets that must not stay. */
import { expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";

import { clientBinary } from "../harness/client-binary.ts";
import { buildxAt, hasBuildx } from "../harness/buildx-client.ts";
import type { Reply } from "../harness/http.ts";
import { naruBinary } from "../harness/naru.ts";
import { must, run, until, type Output } from "../harness/process.ts";
import { writeTar, type TarEntry } from "../harness/tar.ts";
import { IMAGE, withWorld, type CrashWorld } from "./world.ts";

const FULL = /no space left|disk is full|ENOSPC/i;

const post = (w: CrashWorld, entries: readonly TarEntry[], query = "t=built:1"): Promise<Reply> =>
  w.api("POST", `/build?${query}`, { raw: writeTar(entries) });

const dockerfile = (...lines: string[]): TarEntry => ({
  name: "Dockerfile",
  body: `FROM ${IMAGE}\n${lines.join("\n")}\n`,
});

const SLEEPER = "RUN echo started; sleep 77771";
/** Not itself: its pattern does not match the pattern. */
const SLEEPERS = ["sh", "-c", "grep -lsa 'sleep.7777[1]' /proc/[0-9]*/cmdline || true"];

const namesIn = async (w: CrashWorld, path: string): Promise<readonly string[]> => {
  const out = await w.world.exec(["ls", "-A", `${w.roots.dataRoot}/${path}`]);
  return out.stdout.split("\n").filter((name) => name !== "");
};

/** What a build has on the host while it runs: all of it must be gone after it. */
const remains = async (w: CrashWorld): Promise<readonly string[]> => {
  const [work, active, bundles, mounts, processes, contexts] = await Promise.all([
    namesIn(w, "build/work"),
    namesIn(w, "snapshots/active"),
    w.world.exec(["sh", "-c", `ls -A ${w.roots.execRoot}/build 2>/dev/null; true`]),
    w.world.exec(["sh", "-c", `grep -c ' ${w.roots.base}.*overlay' /proc/self/mounts; true`]),
    run(SLEEPERS),
    namesIn(w, "build/contexts"),
  ]);
  // A tree that stays has its list beside it.
  const half = contexts.filter(
    (name) => !name.endsWith(".json") && !contexts.includes(`${name}.json`),
  );
  const bundleNames = bundles.stdout.split("\n").filter((name) => name !== "");
  return [
    ...work.map((name) => `work/${name}`),
    ...active.map((name) => `active/${name}`),
    ...bundleNames.map((name) => `bundle ${name}`),
    ...half.map((name) => `context ${name}`),
    ...(mounts.stdout.trim() === "0" ? [] : [`${mounts.stdout.trim()} mounts`]),
    ...processes.stdout.split("\n").filter((name) => name !== ""),
  ];
};

const nothingRemains = (w: CrashWorld): Promise<unknown> =>
  until(
    "nothing to be left of the build",
    async () => (await remains(w)).length === 0,
    15_000,
    100,
  ).catch(async () => expect(await remains(w)).toEqual([]));

const builds = async (w: CrashWorld): Promise<void> => {
  const reply = await post(w, [
    dockerfile("COPY f /f", "RUN cat /f > /g"),
    { name: "f", body: "small" },
  ]);
  expect(reply.text).toContain("Successfully tagged built:1");
};

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
}, 90_000);

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
}, 90_000);

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
}, 90_000);

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
}, 90_000);

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

/** Talks HTTP by hand, so that a body can be endless or cut. */
const openBuild = (
  w: CrashWorld,
  query = "t=built:1",
): { socket: Socket; answer: Promise<string> } => {
  const socket = connect(w.roots.socketPath);
  socket.setMaxListeners(0);
  const head = `POST /build?${query} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n\r\n`;
  socket.write(head);
  let text = "";
  const answer = new Promise<string>((resolve) => {
    socket.on("data", (bytes: Buffer) => {
      text += bytes.toString();
      if (text.endsWith("0\r\n\r\n")) resolve(text);
    });
    socket.on("error", () => resolve(text));
    socket.on("close", () => resolve(text));
  });
  return { socket, answer };
};

const sendChunk = async (socket: Socket, bytes: Uint8Array): Promise<void> => {
  if (socket.destroyed) return;
  socket.write(`${bytes.length.toString(16)}\r\n`);
  socket.write(bytes);
  if (socket.write("\r\n")) return;
  await Promise.race([
    new Promise((resolve) => socket.once("drain", resolve)),
    new Promise((resolve) => socket.once("close", resolve)),
  ]);
};

test("a context of a million names is refused, in bounded memory, while others are served", async () => {
  await withWorld(
    async (w) => {
      const pid = Number(
        (
          await run(["sh", "-c", `grep -lsz '${w.roots.dataRoot}' /proc/[0-9]*/cmdline | head -1`])
        ).stdout.split("/")[2],
      );
      using memory = watchMemory(() => pid);
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
        const began = performance.now();
        expect((await w.api("GET", "/_ping")).status).toBe(200);
        slowestMs = Math.max(slowestMs, performance.now() - began);
      }
      if (!socket.destroyed) socket.end("0\r\n\r\n");
      expect(await answer).toContain(
        "more than 500000 entries: leave files out with .dockerignore",
      );
      expect(memory.peak()).toBeLessThan(600);
      expect(slowestMs).toBeLessThan(1_000);
      await nothingRemains(w);
    },
    // In memory: half a million files are quick there.
    { dataMiB: 2_048 },
  );
}, 180_000);

const sleeperRuns = (): Promise<unknown> =>
  until("the step to run", async () => (await run(SLEEPERS)).stdout !== "", 20_000, 50);

/** A client's process on a folder; killed in the middle. */
const CLIENTS: Readonly<Record<string, (w: CrashWorld, folder: string) => readonly string[]>> = {
  "docker build": (w, folder) => [
    clientBinary(),
    "-H",
    `unix://${w.roots.socketPath}`,
    "build",
    folder,
  ],
  "naru build": (w, folder) => [
    "env",
    `NARU_HOST=unix://${w.roots.socketPath}`,
    naruBinary(),
    "build",
    folder,
  ],
  ...(hasBuildx
    ? {
        "docker buildx build": (w: CrashWorld, folder: string) => [
          "env",
          `DOCKER_HOST=unix://${w.roots.socketPath}`,
          "DOCKER_CONFIG=/tmp/naru-e2e-buildx",
          clientBinary(),
          "buildx",
          "build",
          folder,
        ],
      }
    : {}),
};

test("a client that goes away ends its build: no process, mount or file stays", async () => {
  await withWorld(async (w) => {
    const folder = mkdtempSync("/tmp/naru-crash-folder-");
    try {
      writeFileSync(`${folder}/Dockerfile`, dockerfile("COPY . /c", SLEEPER).body as string);
      writeFileSync(`${folder}/big`, Buffer.alloc(3 << 20, 1));
      if (hasBuildx) await buildxAt(`unix://${w.roots.socketPath}`, ["ls"]);
      for (const [name, argv] of Object.entries(CLIENTS)) {
        for (const signal of ["SIGINT", "SIGKILL"] as const) {
          const child = Bun.spawn([...argv(w, folder)], {
            env: { ...process.env, DOCKER_BUILDKIT: "0" },
            stdin: "ignore",
            stdout: "ignore",
            stderr: "ignore",
          });
          await sleeperRuns().catch((error: unknown) => {
            throw new Error(`${name}: ${String(error)}`);
          });
          child.kill(signal);
          await child.exited;
          await nothingRemains(w);
        }
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}, 180_000);

test("a client that goes away while it sends leaves no half context", async () => {
  await withWorld(async (w) => {
    for (const sent of [100_000, 5_000_000]) {
      const { socket } = openBuild(w);
      const body = writeTar([
        dockerfile("COPY big /"),
        { name: "big", body: Buffer.alloc(20 << 20, 1) },
      ]);
      for (let at = 0; at < sent; at += 50_000)
        await sendChunk(socket, body.subarray(at, at + 50_000));
      await Bun.sleep(300);
      socket.destroy();
      await nothingRemains(w);
    }
    await builds(w);
  });
}, 60_000);

/** Files below the data and exec roots, and the log, that hold the text, also as base64. */
const holding = async (w: CrashWorld, secret: string): Promise<string> => {
  const encoded = Buffer.from(secret).toString("base64").replace(/=+$/, "").slice(0, -1);
  const places = [w.roots.dataRoot, w.roots.execRoot, `${w.roots.base}/daemon.log`].join(" ");
  // -a: databases and their logs are read as text.
  const script = `grep -rlas -e '${secret}' -e '${encoded}' ${places}; true`;
  return (await w.world.exec(["sh", "-c", script])).stdout;
};

test("a secret is nowhere after the build: no layer, log, cache key, history; nor after a failed or a killed one", async () => {
  await withWorld(async (w) => {
    const secret = `hush-${crypto.randomUUID().replaceAll("-", "")}`;
    const folder = mkdtempSync("/tmp/naru-crash-secret-");
    mkdirSync(`${folder}/c`);
    writeFileSync(`${folder}/token`, secret);
    const naru = (last: string): Promise<Output> => {
      const mounts = "--mount=type=secret,id=token --mount=type=secret,id=token,env=TOKEN";
      const step = `RUN ${mounts} test "$(cat /run/secrets/token)" = "$TOKEN" && wc -c < /run/secrets/token > /size; ${last}`;
      writeFileSync(`${folder}/c/Dockerfile`, dockerfile(step).body as string);
      const argv = [
        naruBinary(),
        "build",
        "-t",
        "built:1",
        "--secret",
        `id=token,src=${folder}/token`,
        `${folder}/c`,
      ];
      return run(argv, { env: { NARU_HOST: `unix://${w.roots.socketPath}` } });
    };
    try {
      expect((await naru("true")).code).toBe(0);
      expect((await w.cli("run", "--rm", "built:1", "cat", "/size")).stdout.trim()).toBe(
        String(secret.length),
      );
      expect(await holding(w, secret)).toBe("");
      const saved = await must([
        "sh",
        "-c",
        `'${clientBinary()}' -H unix://${w.roots.socketPath} save built:1 | grep -ac '${secret}'; true`,
      ]);
      expect(saved.trim()).toBe("0");
      const history = await w.cli("history", "--no-trunc", "built:1");
      expect(history.stdout).not.toContain(secret);
      expect((await naru("exit 4")).code).toBe(1);
      expect(await holding(w, secret)).toBe("");
      const killed = naru("sleep 77771");
      await sleeperRuns();
      await w.kill();
      await killed;
      await w.start();
      expect(await holding(w, secret)).toBe("");
      await nothingRemains(w);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}, 120_000);
