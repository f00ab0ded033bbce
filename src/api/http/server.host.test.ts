import { expect, test } from "bun:test";
import net from "node:net";
import { duplexPair } from "node:stream";

import type { Exchange } from "#api/http/exchange.ts";
import { collect, routes, seen, serveTests } from "#api/http/server.fake.ts";
import { createHttpServer } from "#api/http/server.ts";
import { sleep } from "#lib/clock.ts";
import { watchLiveMemory } from "#lib/live-memory.fake.ts";
import { silentLogger } from "#lib/log.ts";

const MIB = 1024 * 1024;
const { path, http } = serveTests((exchange) =>
  (routes[exchange.head.path] ?? ((x: Exchange) => x.answer(404, "", "?")))(exchange),
);

const dial = async (): Promise<net.Socket> => {
  const socket = net.connect({ path, allowHalfOpen: true });
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.once("connect", resolve);
  socket.on("error", () => undefined);
  await promise;
  return socket;
};

/** Sends `text`, optionally half-closes, returns all that comes until the server closes. */
const talk = async (text: string, keepOpen = false): Promise<string> => {
  const socket = await dial();
  socket.write(text);
  const parts: Buffer[] = [];
  socket.on("data", (part: Buffer) => parts.push(part));
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.once("end", resolve);
  socket.once("close", () => resolve());
  if (!keepOpen) socket.end();
  await Promise.race([promise, sleep(2000)]);
  socket.destroy();
  return Buffer.concat(parts)
    .toString()
    .replaceAll(/Date: [^\r]*\r\n/g, "");
};
const get = (url: string, more = ""): string => `GET ${url} HTTP/1.1\r\nHost: d\r\n${more}\r\n`;
const post = (url: string, more: string): string => `POST ${url} HTTP/1.1\r\nHost: d\r\n${more}`;
const bodyOf = (answer: string): string => answer.slice(answer.indexOf("\r\n\r\n") + 4);

const until = async (condition: () => boolean): Promise<void> => {
  for (let waits = 0; waits < 300 && !condition(); waits += 1) await sleep(10);
  expect(condition()).toBe(true);
};

test("an answer, head and body", async () => {
  expect(await talk(get("/sync"))).toBe(
    "HTTP/1.1 200 OK\r\nServer: test\r\nContent-Length: 5\r\n\r\nhello",
  );
});

test("HEAD has the length and no body; 204 has neither", async () => {
  expect(await talk("HEAD /sync HTTP/1.1\r\nHost: d\r\n\r\n")).toEndWith(
    "Content-Length: 5\r\n\r\n",
  );
  expect(await talk(get("/none"))).toBe("HTTP/1.1 204 No Content\r\nServer: test\r\n\r\n");
});

test("pipelined requests are answered in order, sync and async mixed", async () => {
  const answer = await talk(get("/later") + get("/sync") + get("/later") + get("/sync"), true);
  expect([...answer.matchAll(/later|hello/g)].map((m) => m[0])).toEqual([
    "later",
    "hello",
    "later",
    "hello",
  ]);
});

test("a request in single bytes", async () => {
  const socket = await dial();
  let answer = "";
  socket.on("data", (part) => void (answer += part.toString()));
  for (const byte of post("/echo", "Content-Length: 3\r\n\r\nabc") + get("/sync")) {
    socket.write(byte);
    await sleep(0);
  }
  await until(() => answer.endsWith("hello"));
  expect(answer).toContain("\r\n\r\nabc");
  socket.destroy();
});

test("keep-alive repeats, close closes, 1.0 is told", async () => {
  const close = get("/sync", "Connection: close\r\n");
  expect(await talk(get("/sync") + get("/sync") + close, true)).toEndWith(
    "Connection: close\r\n\r\nhello",
  );
  expect(await talk("GET /sync HTTP/1.0\r\n\r\n", true)).toContain("Connection: close");
  expect(await talk("GET /sync HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")).toContain(
    "Connection: keep-alive",
  );
  expect(bodyOf(await talk("GET /stream HTTP/1.0\r\n\r\n", true))).toBe("onetwo");
});

test("chunked both ways", async () => {
  expect(bodyOf(await talk(get("/stream")))).toBe("3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
  const request = post("/echo", "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
  expect(bodyOf(await talk(request))).toBe("abc");
});

test("100-continue only when the body is read", async () => {
  const socket = await dial();
  let answer = "";
  socket.on("data", (part) => void (answer += part.toString()));
  socket.write(post("/echo", "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n"));
  await until(() => answer === "HTTP/1.1 100 Continue\r\n\r\n");
  socket.write("abc");
  await until(() => answer.endsWith("\r\n\r\nabc"));
  socket.destroy();
  const ignored = await talk(
    post("/ignore-body", "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n"),
    true,
  );
  expect(ignored).toStartWith("HTTP/1.1 200");
  expect(ignored).toContain("Connection: close");
});

test("an unread body is skipped, a huge one costs the connection", async () => {
  expect(await talk(post("/ignore-body", "Content-Length: 3\r\n\r\nabc") + get("/sync"))).toEndWith(
    "hello",
  );
  const socket = await dial();
  let answer = "";
  let isOver = false;
  socket.on("data", (part) => void (answer += part.toString()));
  socket.on("end", () => (isOver = true));
  socket.write(post("/ignore-body", `Content-Length: ${10 * MIB}\r\n\r\n`));
  socket.write(Buffer.alloc(MIB));
  await until(() => isOver);
  expect(answer).toEndWith("ignored");
  socket.destroy();
});

test("bodies past the limit and late ones are refused", async () => {
  expect(await talk(post("/echo", `Content-Length: 1001\r\n\r\n`), true)).toStartWith(
    "HTTP/1.1 500",
  );
  expect(await talk(post("/echo", `Content-Length: 10\r\n\r\nabc`), true)).toContain(
    "did not arrive in time",
  );
  expect(await talk(post("/echo", `Transfer-Encoding: chunked\r\n\r\nzz\r\n`), true)).toContain(
    "malformed chunked",
  );
});

test("errors before and after the answer began", async () => {
  expect(await talk(get("/throws"), true)).toStartWith("HTTP/1.1 500");
  expect(await talk(get("/nothing"), true)).toStartWith("HTTP/1.1 500");
  expect(await talk(get("/half"), true)).not.toContain("0\r\n\r\n");
});

test("what is not HTTP is refused and closed", async () => {
  expect(await talk("hello\r\n\r\n", true)).toStartWith("HTTP/1.1 400 Bad Request");
  expect(await talk(`GET / HTTP/1.1\r\nX: ${"a".repeat(300 * 1024)}`, true)).toStartWith(
    "HTTP/1.1 431",
  );
  expect(await talk("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", true)).toStartWith("HTTP/1.1 505");
});

test("HTTP/2 from the first byte on goes to its own handler, with its preface", async () => {
  const server = createHttpServer({
    handler: (x) => x.answer(200, "", "one"),
    http2: async (x) => {
      const raw = x.hijack("");
      for await (const part of raw.input) {
        await raw.write(part);
        return;
      }
    },
    fields: "",
    logger: silentLogger,
  });
  const [near, far] = duplexPair();
  server.onConnection(far);
  const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  near.write(preface);
  const answer = collect(near);
  expect((await answer).toString()).toBe(preface);
  await server.close(0);
});

test("200 MB up with a slow reader stays bounded", async () => {
  const memory = watchLiveMemory();
  seen.push("slow");
  const socket = await dial();
  try {
    let answer = "";
    socket.on("data", (part) => void (answer += part.toString()));
    const block = Buffer.alloc(MIB, "z");
    socket.write(post("/count", `Content-Length: ${200 * MIB}\r\n\r\n`));
    for (let index = 0; index < 200; index += 1) {
      if (!socket.write(block)) await new Promise((resolve) => socket.once("drain", resolve));
      if (index % 20 === 0) memory.sample();
    }
    await until(() => answer.endsWith(String(200 * MIB)));
    // Far from the whole body.
    expect(memory.peakBytes).toBeLessThan(100 * MIB);
  } finally {
    seen.length = 0;
    socket.destroy();
  }
}, 30_000);

test("100 MB down waits for a reader that pauses", async () => {
  seen.length = 0;
  const socket = await dial();
  let size = 0;
  socket.write(get("/flood"));
  socket.pause();
  await sleep(150);
  expect(seen.length).toBeLessThan(4);
  socket.on("data", (part: Buffer) => void (size += part.length));
  socket.resume();
  await until(() => size > 100 * MIB && seen.length === 100);
  socket.destroy();
}, 30_000);

test("a client that vanishes aborts", async () => {
  seen.length = 0;
  const socket = await dial();
  socket.write(get("/until-gone"));
  await sleep(30);
  socket.destroy();
  await until(() => seen.includes("gone"));
});

test("hijack: early bytes, the client's half-close, the server's last words", async () => {
  const request = post("/hijack-echo", "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
  expect(bodyOf(await talk(`${request}early bytes `))).toBe("early bytes EOF seen");
});

test("hijack: a body before the raw bytes belongs to the request", async () => {
  const counted = post("/hijack-echo", "Upgrade: tcp\r\nContent-Length: 2\r\n\r\n{}raw ");
  expect(bodyOf(await talk(counted))).toBe("raw EOF seen");
  const chunked = post(
    "/hijack-echo",
    "Upgrade: tcp\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nraw ",
  );
  expect(bodyOf(await talk(chunked))).toBe("raw EOF seen");
  const asBody = post("/hijack-echo", "Transfer-Encoding: chunked\r\n\r\n4\r\nraw \r\n0\r\n\r\n");
  expect(bodyOf(await talk(asBody))).toBe("raw EOF seen");
});

test("hijack: the server half-closes first and still hears the client", async () => {
  seen.length = 0;
  const socket = await dial();
  let answer = "";
  let isOver = false;
  socket.on("data", (part) => void (answer += part.toString()));
  socket.on("end", () => (isOver = true));
  socket.write(post("/hijack-first-out", "\r\n"));
  await until(() => isOver);
  expect(bodyOf(answer)).toBe("bye");
  socket.end("still here");
  await until(() => seen.includes("still here"));
});

test("hijack: 100 MB in", async () => {
  const socket = await dial();
  let answer = "";
  socket.on("data", (part) => void (answer += part.toString()));
  const block = Buffer.alloc(MIB, "z");
  socket.write(post("/hijack-count", "Upgrade: tcp\r\n\r\n"));
  for (let index = 0; index < 100; index += 1) {
    if (!socket.write(block)) await new Promise((resolve) => socket.once("drain", resolve));
  }
  socket.end();
  await until(() => answer.endsWith(String(100 * MIB)));
  socket.destroy();
}, 30_000);

test("hijack: 100 MB out with back-pressure, and a client that vanishes half-way", async () => {
  seen.length = 0;
  const socket = await dial();
  let size = 0;
  socket.write(post("/hijack-flood", "Upgrade: tcp\r\n\r\n"));
  socket.pause();
  await sleep(100);
  expect(seen.length).toBeLessThan(4);
  socket.on("data", (part: Buffer) => void (size += part.length));
  socket.resume();
  await until(() => size > 20 * MIB);
  socket.destroy();
  await until(() => seen.at(-1) === "cut true" || seen.length === 100);
  expect(seen.at(-1)).toBe("cut true");
}, 30_000);

test("hijack: a silent stream outlives a half-close and ends with the client", async () => {
  seen.length = 0;
  const socket = await dial();
  socket.write(post("/hijack-silent", "Upgrade: tcp\r\n\r\n"));
  socket.end();
  await until(() => seen.includes("half-closed"));
  await sleep(1200);
  expect(seen).toEqual(["half-closed"]);
  socket.destroy();
  await until(() => seen.includes("gone"));
});

test("a client that asks on and reads nothing is answered no further, and goes on when it reads", async () => {
  seen.length = 0;
  const [socket, count] = [await dial(), 60];
  socket.pause();
  socket.write("GET /big HTTP/1.1\r\nHost: d\r\n\r\n".repeat(count));
  for (let before = -1; seen.length === 0 || before < seen.length; await sleep(50)) {
    before = seen.length;
  }
  expect(seen.length).toBeLessThan(20);
  let gotBytes = 0;
  socket.on("data", (part: Buffer) => void (gotBytes += part.length)).resume();
  await until(() => gotBytes > count * MIB);
  expect(seen.length).toBe(count);
  socket.destroy();
});

test("no connection is left behind, and close waits for busy ones", async () => {
  await until(() => http.connectionCount === 0);
  const socket = await dial();
  let answer = "";
  socket.on("data", (part) => void (answer += part.toString()));
  socket.on("end", () => socket.end());
  socket.write(get("/later"));
  await sleep(5);
  await http.close(1000);
  expect(answer).toEndWith("later");
  expect(http.connectionCount).toBe(0);
});
