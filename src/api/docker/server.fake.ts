/** The API on a unix socket in /tmp, and small clients for it. Only for tests. */
import { rmSync } from "node:fs";
import net from "node:net";

import { createDockerServer } from "#api/docker/api.ts";
import { createFakeBackend, type FakeBackend } from "#api/docker/backend.fake.ts";
import type { HttpServer } from "#api/http/server.ts";
import { randomHex, sleep } from "#lib/clock.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly json: any;
}

export interface TestServer extends AsyncDisposable {
  readonly path: string;
  readonly backend: FakeBackend;
  readonly http: HttpServer;
  /** How often it wrote to any of its connections. */
  writes(): number;
  /** "GET /info", "POST /v1.40/containers/create?name=x". An object is sent as JSON. */
  call(request: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  dial(): Promise<RawClient>;
}

export interface RawClient {
  readonly socket: net.Socket;
  /** All bytes so far, as latin1. */
  readonly received: () => string;
  readonly isOver: () => boolean;
  send(text: string): void;
}

export const until = async (condition: () => boolean): Promise<void> => {
  for (let waits = 0; waits < 6000; waits += 1) {
    if (condition()) return;
    await sleep(10);
  }
  throw new Error(`never came true: ${condition.toString()}`);
};

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

export const serve = async (): Promise<TestServer> => {
  const path = `/tmp/naru-api-${randomHex(6)}.sock`;
  const backend = createFakeBackend();
  const http = createDockerServer({
    backend: () => Promise.resolve(backend),
    logger: backend.logger,
  });
  let writes = 0;
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
    socket.write = (...args: unknown[]) => {
      writes += 1;
      return write(...args);
    };
    http.onConnection(socket);
  });
  await new Promise<void>((resolve) => {
    server.listen(path, resolve);
  });
  return {
    path,
    backend,
    http,
    writes: () => writes,
    call: async (request, body, headers = {}) => {
      const [method = "GET", url = "/"] = request.split(" ");
      const isJson = body !== undefined && typeof body !== "string";
      const response = await fetch(`http://d${url}`, {
        unix: path,
        method,
        headers: { ...(isJson ? { "Content-Type": "application/json" } : {}), ...headers },
        ...(body === undefined ? {} : { body: isJson ? JSON.stringify(body) : body }),
      });
      const text = await response.text();
      return { status: response.status, headers: response.headers, text, json: parse(text) };
    },
    dial: async () => {
      const socket = net.connect({ path, allowHalfOpen: true });
      await new Promise<void>((resolve) => {
        socket.once("connect", resolve);
      });
      const parts: Buffer[] = [];
      let isOver = false;
      socket.on("data", (part: Buffer) => void parts.push(part));
      socket.on("end", () => (isOver = true));
      socket.on("error", () => undefined);
      return {
        socket,
        received: () => Buffer.concat(parts).toString("latin1"),
        isOver: () => isOver,
        send: (text) => void socket.write(text),
      };
    },
    [Symbol.asyncDispose]: async () => {
      await http.close(100);
      server.close();
      rmSync(path, { force: true });
    },
  };
};
