import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
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
