/** What tests of builds share: contexts, a step that sleeps, a client by hand, and what a build leaves. */
import { expect } from "bun:test";
import { connect, type Socket } from "node:net";

import type { Reply } from "../harness/http.ts";
import { run, until } from "../harness/process.ts";
import { writeTar, type TarEntry } from "../harness/tar.ts";
import { IMAGE, type CrashWorld } from "./world.ts";

export const post = (
  w: CrashWorld,
  entries: readonly TarEntry[],
  query = "t=built:1",
): Promise<Reply> => w.api("POST", `/build?${query}`, { raw: writeTar(entries) });

export const dockerfile = (...lines: string[]): TarEntry => ({
  name: "Dockerfile",
  body: `FROM ${IMAGE}\n${lines.join("\n")}\n`,
});

/** Of this process alone: others may run the same tests on this machine. */
export const SLEEP = `sleep 1${process.pid}.5`;
export const SLEEPER = `RUN echo started; ${SLEEP}`;
/** Not itself: its pattern does not match the pattern. */
const SLEEPERS = ["sh", "-c", `grep -lsa 'sleep.1${process.pid}[.]5' /proc/[0-9]*/cmdline || true`];

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

export const nothingRemains = (w: CrashWorld): Promise<unknown> =>
  until(
    "nothing to be left of the build",
    async () => (await remains(w)).length === 0,
    60_000,
    100,
  ).catch(async () => expect(await remains(w)).toEqual([]));

export const builds = async (w: CrashWorld): Promise<void> => {
  const reply = await post(w, [
    dockerfile("COPY f /f", "RUN cat /f > /g"),
    { name: "f", body: "small" },
  ]);
  expect(reply.text).toContain("Successfully tagged built:1");
};

/** Talks HTTP by hand, so that a body can be endless or cut. */
export const openBuild = (
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

export const sendChunk = async (socket: Socket, bytes: Uint8Array): Promise<void> => {
  if (socket.destroyed) return;
  socket.write(`${bytes.length.toString(16)}\r\n`);
  socket.write(bytes);
  if (socket.write("\r\n")) return;
  await Promise.race([
    new Promise((resolve) => socket.once("drain", resolve)),
    new Promise((resolve) => socket.once("close", resolve)),
  ]);
};

export const sleeperRuns = (): Promise<unknown> =>
  until("the step to run", async () => (await run(SLEEPERS)).stdout !== "", undefined, 50);
