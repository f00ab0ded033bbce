/** For the tests of the server: where it listens, and handlers that do what handlers of the API do. */
import { afterAll, beforeAll } from "bun:test";
import { rmSync } from "node:fs";
import net from "node:net";

import type { Exchange, ExchangeHandler } from "#api/http/exchange.ts";
import { createHttpServer, type HttpServer } from "#api/http/server.ts";
import { randomHex, sleep } from "#lib/clock.ts";
import { silentLogger } from "#lib/log.ts";

const MIB = 1024 * 1024;
/** What the handler under test saw. */
export const seen: string[] = [];

export const collect = async (input: AsyncIterable<Buffer>): Promise<Buffer> => {
  const parts: Buffer[] = [];
  for await (const part of input) parts.push(part);
  return Buffer.concat(parts);
};

/** A server on a unix socket of its own, for as long as the tests of the file run that calls this. */
export const serveTests = (
  handler: ExchangeHandler,
): { readonly path: string; readonly http: HttpServer } => {
  const path = `/tmp/naru-http-${randomHex(6)}.sock`;
  const http = createHttpServer({ handler, fields: "Server: test\r\n", logger: silentLogger });
  const server = net.createServer({ allowHalfOpen: true }, (socket) => http.onConnection(socket));
  beforeAll(async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(path, resolve);
    await promise;
  });
  afterAll(() => {
    server.close();
    rmSync(path, { force: true });
  });
  return { path, http };
};

export const routes: Record<string, (exchange: Exchange) => void | Promise<void>> = {
  "/sync": (x) => x.answer(200, "", "hello"),
  "/later": async (x) => {
    await sleep(20);
    x.answer(200, "", "later");
  },
  "/echo": async (x) => x.answer(200, "", await x.readBody({ limitBytes: 1000, timeoutMs: 200 })),
  "/ignore-body": (x) => x.answer(200, "", "ignored"),
  "/none": (x) => x.answer(204, ""),
  "/stream": async (x) => {
    const stream = x.stream(200, "");
    await stream.write("one");
    await stream.write(Buffer.from("two"));
    stream.end();
  },
  "/big": (x) => {
    seen.push("big");
    x.answer(200, "", Buffer.alloc(MIB, "b"));
  },
  "/throws": () => {
    throw new Error("broken");
  },
  "/half": async (x) => {
    await x.stream(200, "").write("half");
    throw new Error("broken in the middle");
  },
  "/nothing": () => undefined,
  "/count": async (x) => {
    let size = 0;
    for await (const part of x.body()) {
      size += part.length;
      if (seen.includes("slow")) await sleep(1);
    }
    x.answer(200, "", String(size));
  },
  "/flood": async (x) => {
    const stream = x.stream(200, "");
    const block = Buffer.alloc(MIB, "x");
    for (let index = 0; index < 100; index += 1) {
      await stream.write(block);
      seen.push("block");
    }
    stream.end();
  },
  "/until-gone": async (x) => {
    x.stream(200, "");
    const { promise, resolve } = Promise.withResolvers<void>();
    x.signal.addEventListener("abort", () => resolve());
    await promise;
    seen.push("gone");
  },
  "/hijack-echo": async (x) => {
    const raw = x.hijack("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
    for await (const part of raw.input) await raw.write(part);
    await raw.write("EOF seen");
    raw.endOutput();
  },
  "/hijack-first-out": async (x) => {
    const raw = x.hijack("HTTP/1.1 200 OK\r\n\r\n");
    await raw.write("bye");
    raw.endOutput();
    seen.push((await collect(raw.input)).toString());
  },
  "/hijack-silent": async (x) => {
    const raw = x.hijack("HTTP/1.1 101 UPGRADED\r\n\r\n");
    for await (const part of raw.input) seen.push(part.toString());
    seen.push("half-closed");
    await new Promise((resolve) => raw.signal.addEventListener("abort", resolve));
    seen.push("gone");
  },
  "/hijack-count": async (x) => {
    const raw = x.hijack("HTTP/1.1 101 UPGRADED\r\n\r\n");
    let size = 0;
    for await (const part of raw.input) size += part.length;
    await raw.write(String(size));
  },
  "/hijack-flood": async (x) => {
    const raw = x.hijack("HTTP/1.1 101 UPGRADED\r\n\r\n");
    const block = Buffer.alloc(MIB, "y");
    try {
      for (let index = 0; index < 100; index += 1) {
        await raw.write(block);
        seen.push("block");
      }
    } catch {
      seen.push(`cut ${raw.signal.aborted}`);
    }
  },
};
