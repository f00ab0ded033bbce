/** The registry killed, clients that are slow or leave, limits reached. */
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";

import { afterAll, expect, test } from "bun:test";

import { must, until } from "../harness/process.ts";
import {
  cleanUp,
  errorOf,
  pushBlob,
  pushImage,
  serve,
  sha256,
  temporaryDirectory,
  type Served,
} from "./world.ts";

afterAll(cleanUp);

const withConfig = (config: object): string[] => {
  const path = `${temporaryDirectory()}/config.json`;
  writeFileSync(path, JSON.stringify(config));
  return ["--config-file", path];
};

const open = (served: Served, text: string): Promise<Socket> =>
  new Promise((done) => {
    const [address = "", port = ""] = served.host.split(":");
    const socket = connect(Number(port), address, () => {
      socket.write(text);
      done(socket);
    });
    socket.on("error", () => undefined);
  });

const startUpload = async (served: Served, repository: string): Promise<string> => {
  const reply = await fetch(`${served.url}/v2/${repository}/blobs/uploads/`, { method: "POST" });
  expect(reply.status).toBe(202);
  return reply.headers.get("location") ?? "";
};

const offsetOf = async (url: string): Promise<number> => {
  const reply = await fetch(url);
  expect(reply.status).toBe(204);
  return Number(reply.headers.get("range")?.split("-")[1]) + 1;
};

test("killed in the middle of an upload: it goes on where it was, nothing acknowledged is lost", async () => {
  const first = await serve();
  const kept = await pushImage(first.url, "kill/kept", "v1");
  const data = Buffer.alloc(8 * 1024 * 1024, "naru");
  const digest = sha256(data);
  const location = await startUpload(first, "kill/a");
  const half = data.subarray(0, 3 * 1024 * 1024);
  const patch = await fetch(first.url + location, { method: "PATCH", body: half });
  expect(patch.status).toBe(202);
  // A second chunk is under way, unacknowledged, when the registry dies.
  const socket = await open(
    first,
    `PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: ${data.length - half.length}\r\n\r\n`,
  );
  socket.write(data.subarray(half.length, half.length + 2 * 1024 * 1024 + 17));
  await Bun.sleep(100);
  await first.end("SIGKILL");
  socket.destroy();

  const second = await serve([], first.dataRoot);
  const manifest = await fetch(`${second.url}/v2/kill/kept/manifests/v1`);
  expect(manifest.headers.get("docker-content-digest")).toBe(kept);
  const offset = await offsetOf(second.url + location);
  expect(offset).toBeGreaterThanOrEqual(half.length);
  const rest = await fetch(second.url + location, {
    method: "PATCH",
    body: data.subarray(offset),
    headers: { "content-range": `${offset}-${data.length - 1}` },
  });
  expect(rest.status).toBe(202);
  const put = await fetch(`${second.url}${location}?digest=${digest}`, { method: "PUT" });
  expect(put.status).toBe(201);
  const blob = await fetch(`${second.url}/v2/kill/a/blobs/${digest}`);
  expect(sha256(new Uint8Array(await blob.arrayBuffer()))).toBe(digest);
  expect(readdirSync(`${second.dataRoot}/uploads`)).toEqual([]);
});

test("a client that leaves in the middle goes on later", async () => {
  const served = await serve();
  const location = await startUpload(served, "leave/a");
  const socket = await open(
    served,
    `PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhello `,
  );
  await Bun.sleep(50);
  socket.destroy();
  await until("six bytes", async () => (await offsetOf(served.url + location)) === 6);
  const put = await fetch(`${served.url}${location}?digest=${sha256("hello world")}`, {
    method: "PUT",
    body: "world",
  });
  expect(put.status).toBe(201);
});

test("two writers of one upload: the second is refused", async () => {
  const served = await serve();
  const location = await startUpload(served, "two/a");
  // It is asked for the body once the upload is its own.
  const head = `PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n`;
  const socket = await open(served, head);
  await new Promise((resolve) => socket.once("data", resolve));
  socket.write("12345");
  const second = await fetch(served.url + location, { method: "PATCH", body: "x" });
  expect(await errorOf(second)).toBe("409 BLOB_UPLOAD_INVALID");
  socket.destroy();
});

test("open uploads, sizes and expiry have bounds", async () => {
  const flags = withConfig({
    "max-uploads": 2,
    "max-blob-size": "1k",
    "upload-expiry-hours": 0.001,
  });
  const served = await serve(flags);
  const location = await startUpload(served, "bound/a");
  await startUpload(served, "bound/a");
  const third = await fetch(`${served.url}/v2/bound/a/blobs/uploads/`, { method: "POST" });
  expect(third.headers.get("retry-after")).toBe("10");
  expect(await errorOf(third)).toBe("429 TOOMANYREQUESTS");
  const large = await fetch(served.url + location, { method: "PATCH", body: "x".repeat(1025) });
  expect(await errorOf(large)).toBe("413 SIZE_INVALID");
  await Bun.sleep(4_500);
  await served.end("SIGKILL");
  const again = await serve(flags, served.dataRoot);
  expect(await errorOf(await fetch(again.url + location))).toBe("404 BLOB_UPLOAD_UNKNOWN");
  expect(readdirSync(`${again.dataRoot}/uploads`)).toEqual([]);
});

/** Many that stand in their heads. */
const openCrowd = (served: Served): Promise<Socket[]> =>
  Promise.all(Array.from({ length: 200 }, () => open(served, "GET /v2/ HTTP/1.1\r\nHo")));

test("clients that stand in their heads harm nobody: others are answered beside them", async () => {
  const served = await serve(withConfig({ "max-connections": 300 }));
  const crowd = await openCrowd(served);
  let left = 0;
  for (const socket of crowd) socket.on("close", () => (left += 1));
  for (let asked = 0; asked < 20; asked += 1) {
    expect((await fetch(`${served.url}/v2/`)).status).toBe(200);
  }
  // None of them had to go for it.
  expect(left).toBe(0);
  for (const socket of crowd) socket.destroy();
});

test("slow clients are cut off and harm nobody", async () => {
  const served = await serve(withConfig({ "idle-timeout-seconds": 3, "max-connections": 300 }));
  const digest = await pushBlob(served.url, "slow/a", Buffer.alloc(64 * 1024 * 1024, 7));
  const location = await startUpload(served, "slow/a");
  // One sends a byte of its body and no more, one takes nothing of what it asked for, many stand in their heads.
  const sender = await open(
    served,
    `PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx`,
  );
  const reader = await open(served, `GET /v2/slow/a/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`);
  reader.pause();
  const crowd = await openCrowd(served);
  expect((await fetch(`${served.url}/v2/`)).status).toBe(200);
  let answer = "";
  sender.on("data", (part) => (answer += part.toString()));
  await until("408", () => answer.startsWith("HTTP/1.1 408"));
  let received = 0;
  reader.on("data", (part) => (received += part.length));
  const closed = new Promise((done) => reader.on("close", done));
  await Bun.sleep(8_000);
  reader.resume();
  await closed;
  expect(received).toBeLessThan(64 * 1024 * 1024);
  for (const socket of crowd) socket.destroy();
  sender.destroy();
});

test("a full disk: a clear answer, and the upload goes on when there is room", async () => {
  const disk = temporaryDirectory();
  await must(["mount", "-t", "tmpfs", "-o", "size=40m", "none", disk]);
  try {
    const served = await serve([], `${disk}/data`);
    const filler = `${disk}/filler`;
    // What is left is less than the blob, however little the registry itself takes.
    writeFileSync(filler, Buffer.alloc(28 * 1024 * 1024, 1));
    const data = Buffer.alloc(16 * 1024 * 1024, "disk");
    const location = await startUpload(served, "full/a");
    const first = await fetch(served.url + location, { method: "PATCH", body: data });
    expect(first.status).toBe(507);
    expect(await first.text()).toContain("disk is full");
    rmSync(filler);
    const offset = await offsetOf(served.url + location);
    const put = await fetch(`${served.url}${location}?digest=${sha256(data)}`, {
      method: "PUT",
      body: data.subarray(offset),
    });
    expect(put.status).toBe(201);
    await served.end("SIGTERM");
  } finally {
    await must(["umount", "-l", disk]);
  }
});

test("a client that tries TLS first is answered at once, not after its own patience", async () => {
  const served = await serve();
  const socket = await open(served, "\u0016\u0003\u0001\u0002\u0000\u0001\u0000");
  let answer = "";
  socket.on("data", (part) => (answer += part.toString()));
  // Before some requests that came after it: not when a time is over.
  for (let asked = 0; asked < 100 && answer === ""; asked += 1) {
    expect((await fetch(`${served.url}/v2/`)).status).toBe(200);
  }
  expect(answer).toStartWith("HTTP/1.1 400");
  socket.destroy();
});

test("a config with a key that nobody knows, or of the wrong kind, is refused", async () => {
  const wrong: readonly [object, string][] = [
    [{ "max-upload": 1 }, 'unknown key "max-upload"'],
    [{ "max-uploads": "many" }, '"max-uploads" must be a whole number'],
    [{ retention: [{ tags: "*" }] }, "says nothing to keep"],
    [{ quotas: [{ repositories: "a*b", "max-size": 1 }] }, '"PREFIX/**"'],
  ];
  for (const [config, message] of wrong) {
    const failure = await serve(withConfig(config)).then(
      () => "it started",
      (error: unknown) => String(error),
    );
    expect(failure).toContain(message);
  }
});
