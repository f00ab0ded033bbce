/** Builds whose clients leave, and secrets that must not stay. */
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";

import { clientBinary } from "../harness/client-binary.ts";
import { buildxAt, hasBuildx } from "../harness/buildx-client.ts";
import { naruBinary } from "../harness/naru.ts";
import { must, run, type Output } from "../harness/process.ts";
import { writeTar } from "../harness/tar.ts";
import {
  builds,
  dockerfile,
  nothingRemains,
  openBuild,
  sendChunk,
  SLEEP,
  SLEEPER,
  sleeperRuns,
} from "./building.ts";
import { withWorld, type CrashWorld } from "./world.ts";

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
      // Whoever leaves is no error of the engine.
      expect(w.log()).not.toContain("HTTP handler failed");
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}, 400_000);

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
}, 400_000);

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
      const killed = naru(SLEEP);
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
}, 400_000);
