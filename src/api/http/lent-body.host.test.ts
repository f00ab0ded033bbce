/** A connection that somebody else reads a request's body from, and that is HTTP again afterwards. */
import { expect, test } from "bun:test";
import { readSync } from "node:fs";
import net from "node:net";
import type { Exchange, LentBody } from "#api/http/exchange.ts";
import { serveTests } from "#api/http/server.fake.ts";
import { createKernel } from "#kernel/real.ts";
import { resumeBodyDecoder } from "#spec/http/body-decoder.ts";

const BODY_BYTES = 9_000_001;
const FIRST_BYTES = 500_000;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Whoever has the descriptor: reads without the runtime, until `isEnough`. */
const readLent = async (
  { fd, state }: LentBody,
  take: (part: Buffer) => void,
  isEnough: () => boolean,
): Promise<Buffer | undefined> => {
  const decoder = resumeBodyDecoder(state);
  const buffer = Buffer.alloc(300_000);
  while (!decoder.isDone) {
    let count = 0;
    try {
      count = readSync(fd, buffer);
      if (count === 0) return undefined;
    } catch (error) {
      // The connection may close between two turns: another process would have a descriptor of its own.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return undefined;
      await turn();
    }
    const end = decoder.feed(buffer.subarray(0, count), 0, take);
    if (decoder.isDone) return Buffer.from(buffer.subarray(end, count));
    if (isEnough()) return undefined;
  }
  return undefined;
};

const sum = async (exchange: Exchange, stopAt: number): Promise<void> => {
  const hasher = new Bun.CryptoHasher("sha256");
  let size = 0;
  const take = (part: Uint8Array): void => {
    hasher.update(part);
    size += part.length;
  };
  const body = exchange.body()[Symbol.asyncIterator]();
  while (size < FIRST_BYTES) {
    const next = await body.next();
    if (next.done === true) break;
    take(next.value);
  }
  const lent = await exchange.lendBody();
  if (lent === undefined) return exchange.answer(200, "", "not lent");
  for (const part of lent.early) take(part);
  lent.giveBack((await readLent(lent, take, () => size > stopAt)) ?? "unread");
  exchange.answer(200, "", hasher.digest("hex"));
};

const lentOut = Promise.withResolvers<void>();
const gone = Promise.withResolvers<string>();
const routes: Record<string, (exchange: Exchange) => void | Promise<void>> = {
  "/sum": (exchange) => sum(exchange, Number.POSITIVE_INFINITY),
  "/part": (exchange) => sum(exchange, 2_000_000),
  "/hello": (exchange) => exchange.answer(200, "", "hello"),
  "/gone": async (exchange) => {
    const body = exchange.body()[Symbol.asyncIterator]();
    await body.next();
    const lent = await exchange.lendBody();
    lentOut.resolve();
    if (lent === undefined) return gone.resolve("not lent");
    const rest = await readLent(
      lent,
      () => undefined,
      () => false,
    );
    lent.giveBack(rest ?? "cut short");
    gone.resolve(rest === undefined && exchange.signal.aborted ? "cut short" : "whole");
  },
};
const { path } = serveTests((exchange) => routes[exchange.head.path]?.(exchange));

const bytes = Buffer.alloc(BODY_BYTES);
for (let at = 0; at + 4 <= BODY_BYTES; at += 4) bytes.writeUInt32LE(at, at);

const request = (url: string, isChunked: boolean): Buffer => {
  const field = isChunked ? "Transfer-Encoding: chunked" : `Content-Length: ${BODY_BYTES}`;
  const parts = [Buffer.from(`POST ${url} HTTP/1.1\r\nHost: d\r\n${field}\r\n\r\n`)];
  if (!isChunked) return Buffer.concat([...parts, bytes]);
  for (let at = 0; at < BODY_BYTES; at += 31_013) {
    const part = bytes.subarray(at, at + 31_013);
    parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from("\r\n"));
  }
  return Buffer.concat([...parts, Buffer.from("0\r\n\r\n")]);
};

/** All that comes until `isEnough`, or the server closes. */
const talk = async (sent: Buffer, isEnough: (answer: string) => boolean): Promise<string> => {
  const socket = net.connect(path);
  const { promise, resolve } = Promise.withResolvers<void>();
  let answer = "";
  socket.on("data", (part: Buffer) => {
    answer += part.toString();
    if (isEnough(answer)) resolve();
  });
  socket.on("error", () => resolve());
  socket.on("close", () => resolve());
  socket.write(sent);
  await promise;
  socket.destroy();
  return answer;
};

for (const isChunked of [true, false]) {
  const name = isChunked ? "chunked" : "counted";
  test(`a ${name} body comes whole, and the request behind it is answered`, async () => {
    const hello = Buffer.from("GET /hello HTTP/1.1\r\nHost: d\r\n\r\n");
    const sent = Buffer.concat([request("/sum", isChunked), hello]);
    const answer = await talk(sent, (text) => text.includes("hello"));
    expect(answer).toContain(new Bun.CryptoHasher("sha256").update(bytes).digest("hex"));
    expect(answer).toEndWith("hello");
  });
}

test("a body that was not read to its end costs the connection, not the answer", async () => {
  const answer = await talk(request("/part", true), () => false);
  expect(answer).toContain("HTTP/1.1 200 OK");
  expect(answer).toContain("Connection: close");
});

test("who reads notices a client that left", async () => {
  const socket = net.connect(path);
  const connected = Promise.withResolvers<void>();
  socket.on("connect", () => connected.resolve());
  await connected.promise;
  const sent = request("/gone", true);
  socket.write(sent.subarray(0, 1_000_000));
  await lentOut.promise;
  socket.destroy();
  expect(await gone.promise).toBe("cut short");
});

test("a child's wait ends when bytes are there", () => {
  const kernel = createKernel();
  const { readFd, writeFd } = kernel.pipe();
  const child = Bun.spawnSync(["sh", "-c", "echo x >&3"], {
    stdio: ["ignore", "ignore", "ignore", writeFd],
  });
  expect(child.exitCode).toBe(0);
  kernel.waitReadable(readFd);
  expect(readSync(readFd, Buffer.alloc(8))).toBe(2);
  kernel.close(readFd);
  kernel.close(writeFd);
});
