import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { type Socket as NodeSocket, connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import type { Listener } from "#daemon/listener.ts";
import { listenUnix } from "#daemon/listen-unix.ts";
import type { UnixSocket } from "#daemon/unix-socket.ts";

const MIB = 1024 * 1024;

let folder = "";
let listener: Listener;
let accepted: PromiseWithResolvers<UnixSocket>;

beforeEach(async () => {
  folder = mkdtempSync("/tmp/naru-unix-socket-");
  accepted = Promise.withResolvers();
  listener = await listenUnix(`${folder}/s`, "", (socket) => {
    accepted.resolve(socket as UnixSocket);
  });
});

afterEach(() => {
  listener.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Both ends, and what the engine's end hears in its order. */
const pair = async (): Promise<{ client: NodeSocket; socket: UnixSocket; heard: string[] }> => {
  const client = connect({ path: `${folder}/s`, allowHalfOpen: true });
  client.on("error", () => undefined);
  const socket = await accepted.promise;
  const heard: string[] = [];
  socket.on("data", (bytes) => heard.push(bytes.toString()));
  socket.on("end", () => heard.push("<end>"));
  socket.on("drain", () => heard.push("<drain>"));
  socket.on("close", () => heard.push("<close>"));
  return { client, socket, heard };
};

const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await sleep(1);
};

/** By events: an iterator that ends would close the client's own side. */
const readAll = (client: NodeSocket): Promise<Buffer> =>
  new Promise((resolve) => {
    const parts: Buffer[] = [];
    client.on("data", (part: Buffer) => parts.push(part));
    client.on("end", () => resolve(Buffer.concat(parts)));
    client.resume();
  });

test("bytes go both ways, and a half-close of the client leaves our side open", async () => {
  const { client, socket, heard } = await pair();
  client.end("question");
  await until(() => heard.includes("<end>"));
  expect(socket.write("an ")).toBe(true);
  expect(socket.write(Buffer.from("answer"))).toBe(true);
  socket.end();
  expect(socket.writableFinished).toBe(true);
  expect((await readAll(client)).toString()).toBe("an answer");
  await until(() => heard.includes("<close>"));
  expect(heard).toEqual(["question", "<end>", "<close>"]);
});

test("our half-close leaves the client's side open", async () => {
  const { client, socket, heard } = await pair();
  socket.write("first");
  socket.end();
  expect((await readAll(client)).toString()).toBe("first");
  client.write("still here");
  await until(() => heard.includes("still here"));
  client.end();
  await until(() => heard.includes("<close>"));
  expect(heard).toEqual(["still here", "<end>", "<close>"]);
  expect(socket.descriptor).toBeUndefined();
});

test("what the kernel does not take waits in its order, and drain says when it is gone", async () => {
  const { client, socket, heard } = await pair();
  client.pause();
  const sent = Buffer.alloc(4 * MIB);
  for (let at = 0; at < sent.length; at += 4) sent.writeUInt32LE(at, at);
  expect(socket.write(sent.subarray(0, 3 * MIB))).toBe(false);
  expect(socket.write(sent.subarray(3 * MIB))).toBe(false);
  expect(socket.writableLength).toBeGreaterThan(3 * MIB);
  const reading = readAll(client);
  await until(() => heard.includes("<drain>"));
  expect(socket.writableLength).toBe(0);
  socket.write("the end");
  socket.end();
  const got = await reading;
  expect(got.length).toBe(sent.length + "the end".length);
  expect(got.subarray(0, sent.length).equals(sent)).toBe(true);
  client.destroy();
});

test("an end waits for what was written before it", async () => {
  const { client, socket } = await pair();
  client.pause();
  socket.write(Buffer.alloc(2 * MIB, "x"));
  socket.end();
  expect(socket.writableFinished).toBe(false);
  // After the end nothing is taken.
  socket.write("too late");
  expect((await readAll(client)).length).toBe(2 * MIB);
  await until(() => socket.writableFinished);
  client.destroy();
});

test("a paused socket reads nothing, and all of it afterwards", async () => {
  const { client, socket, heard } = await pair();
  socket.pause();
  client.end("while paused");
  await sleep(30);
  expect(heard).toEqual([]);
  socket.resume();
  await until(() => heard.includes("<end>"));
  expect(heard).toEqual(["while paused", "<end>"]);
  socket.destroy();
});

test("destroy closes, later than the call and once; what comes after it does nothing", async () => {
  const { client, socket, heard } = await pair();
  client.pause();
  socket.write(Buffer.alloc(2 * MIB));
  socket.destroy();
  expect(heard).toEqual([]);
  expect(socket.writableLength).toBe(0);
  await until(() => heard.includes("<close>"));
  socket.destroy();
  socket.pause();
  socket.resume();
  socket.end();
  expect(socket.write("nobody")).toBe(true);
  client.destroy();
  await sleep(20);
  expect(heard).toEqual(["<close>"]);
});

test("a client that goes is heard of, also when its side was closed before", async () => {
  const first = await pair();
  first.client.destroy();
  await until(() => first.heard.includes("<end>") || first.heard.includes("<close>"));
  first.socket.destroy();

  accepted = Promise.withResolvers();
  const second = await pair();
  second.client.end();
  await until(() => second.heard.includes("<end>"));
  expect(second.heard).not.toContain("<close>");
  second.client.destroy();
  await until(() => second.heard.includes("<close>"));
});

test("a write to a client that has gone is dropped", async () => {
  const { client, socket, heard } = await pair();
  client.destroy();
  await until(() => heard.includes("<end>") || heard.includes("<close>"));
  expect(socket.write("nobody reads this")).toBe(true);
  socket.destroy();
  await until(() => heard.includes("<close>"));
  expect(heard.filter((one) => one === "<close>")).toHaveLength(1);
});

/** Sockets that this process has open. */
const openSockets = (): number =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith("socket:");
    } catch {
      return false;
    }
  }).length;

test("a parked connection comes back with the next bytes, again and again", async () => {
  const { client, socket, heard } = await pair();
  for (let round = 0; round < 20; round += 1) {
    heard.length = 0;
    let wakes = 0;
    expect(socket.park(() => (wakes += 1))).toBe(true);
    expect(socket.park(() => undefined)).toBe(false);
    await sleep(round % 3);
    expect([...heard, wakes]).toEqual([0]);
    client.write(`ask ${round} `);
    client.write("more");
    await until(() => heard.join("").endsWith("more"));
    expect([heard.join(""), wakes]).toEqual([`ask ${round} more`, 1]);
    const answer = new Promise((resolve) => client.once("data", (part) => resolve(String(part))));
    socket.write(`answer ${round}`);
    expect(await answer).toBe(`answer ${round}`);
  }
  client.end();
  await until(() => heard.includes("<end>"));
  // Our side is still open.
  const last = new Promise((resolve) => client.once("data", (part) => resolve(String(part))));
  socket.write("last");
  expect(await last).toBe("last");
  expect(heard).not.toContain("<close>");
  socket.end();
  await until(() => heard.includes("<close>"));
});

test("a parked connection whose client goes is told, one that is closed here lets its client go", async () => {
  const gone = await pair();
  const before = openSockets();
  expect(gone.socket.park(() => undefined)).toBe(true);
  gone.client.destroy();
  await until(() => gone.heard.includes("<end>") || gone.heard.includes("<close>"));
  gone.socket.destroy();
  await until(() => gone.heard.includes("<close>"));
  for (const close of ["end", "destroy"] as const) {
    accepted = Promise.withResolvers();
    const { client, socket, heard } = await pair();
    expect(socket.park(() => undefined)).toBe(true);
    const left = new Promise((resolve) => client.once("end", resolve));
    client.resume();
    socket[close]();
    expect(socket.park(() => undefined)).toBe(false);
    await left;
    await until(() => heard.includes("<close>"));
    expect(heard).toEqual(["<close>"]);
    client.destroy();
  }
  // Closed in the moment in which it comes back.
  accepted = Promise.withResolvers();
  const { client, socket, heard } = await pair();
  socket.park(() => socket.destroy());
  client.write("too late");
  await until(() => heard.includes("<close>"));
  client.destroy();
  await until(() => openSockets() < before);
});

test("what is written or half-closed is not parked", async () => {
  const { client, socket, heard } = await pair();
  client.end("bye");
  await until(() => heard.includes("<end>"));
  expect(socket.park(() => undefined)).toBe(false);
  client.pause();
  accepted = Promise.withResolvers();
  const full = await pair();
  full.client.pause();
  while (full.socket.write(Buffer.alloc(MIB)));
  expect(full.socket.park(() => undefined)).toBe(false);
  full.client.destroy();
  client.destroy();
});
