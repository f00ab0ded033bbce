/** The front door's process with real sockets: what goes through it, and what it says itself. */
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { type Server, type Socket, connect, createServer } from "node:net";
import { connect as connectTls } from "node:tls";
import type { CompanionWork } from "#companion/process.ts";
import { openDoor } from "#api/door/process.ts";
import { doorListeners } from "#daemon/door-listeners.ts";
import type { DoorRoute, DoorStatus, DoorTarget } from "#door/door.ts";
import { silentLogger } from "#lib/log.ts";

const undo: (() => void)[] = [];
afterEach(() => {
  for (const step of undo.splice(0).toReversed()) step();
});

/** A port nobody has at this moment. */
const freePort = async (): Promise<number> => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  server.close();
  return port;
};

interface World {
  readonly door: CompanionWork;
  readonly http: number;
  readonly https: number;
  readonly directory: string;
  readonly status: DoorStatus;
}

const openWorld = async (): Promise<World> => {
  const directory = mkdtempSync("/tmp/naru-door-");
  undo.push(() => rmSync(directory, { recursive: true }));
  const door = openDoor(doorListeners(silentLogger), silentLogger);
  undo.push(() => door.close());
  const [http, https] = [await freePort(), await freePort()];
  const addresses = ["127.0.0.1"];
  const config = {
    http: { addresses, port: http },
    https: { addresses, port: https },
    directory,
  };
  const status = (await door.handle({ kind: "configure", config })) as DoorStatus;
  return { door, http, https, directory, status };
};

const route = (host: string, targets: readonly DoorTarget[], path = "/"): DoorRoute => ({
  host: `${host}.naru.localhost`,
  path,
  what: `container "${host}"`,
  targets,
});

const ready = (name: string, port: number): DoorTarget => ({
  name,
  state: "ready",
  ip: "127.0.0.1",
  port,
});

/** A target that says who it is and what it was asked. */
const backend = (name: string): number => {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request, own) => {
      if (own.upgrade(request)) return undefined;
      const { pathname } = new URL(request.url);
      if (pathname === "/echo") return new Response(request.body);
      const headers = Object.fromEntries(request.headers);
      return Response.json({ name, path: pathname, headers });
    },
    websocket: {
      message: (socket, text) => void socket.send(`${name}: ${String(text)}`),
    },
  });
  undo.push(() => void server.stop(true));
  return server.port ?? 0;
};

/** A target that speaks bytes. */
const rawBackend = async (onSocket: (socket: Socket) => void): Promise<number> => {
  const server: Server = createServer({ allowHalfOpen: true }, onSocket);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  undo.push(() => server.close());
  return (server.address() as { port: number }).port;
};

const ask = (port: number, host: string, path = "/", init: RequestInit = {}): Promise<Response> =>
  fetch(`http://127.0.0.1:${port}${path}`, {
    ...init,
    headers: { host: `${host}.naru.localhost`, ...(init.headers as Record<string, string>) },
  });

/** Everything that comes back for these bytes until the door hangs up. */
const speak = async (port: number, text: string, isEnded = true): Promise<string> => {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  if (isEnded) socket.end(text, "latin1");
  else socket.write(text, "latin1");
  let answer = "";
  for await (const bytes of socket) answer += String(bytes);
  return answer;
};

test("by host and longest path; the target learns who asked and by which name", async () => {
  const { door, http } = await openWorld();
  const [web, api] = [backend("web"), backend("api")];
  const routes = [
    route("web.shop", [ready("w", web)]),
    route("web.shop", [ready("a", api)], "/api"),
  ];
  await door.handle({ kind: "routes", routes });
  type Said = { name: string; path: string; headers: Record<string, string> };
  const headers = { "x-forwarded-for": "6.6.6.6", accept: "*/*" };
  const first = (await (await ask(http, "web.shop", "/a?b=1", { headers })).json()) as Said;
  expect(first).toMatchObject({ name: "web", path: "/a" });
  expect(first.headers).toMatchObject({
    host: "web.shop.naru.localhost",
    "x-forwarded-for": "127.0.0.1",
    "x-forwarded-proto": "http",
    "x-forwarded-host": "web.shop.naru.localhost",
  });
  const below = (await (await ask(http, "web.shop", "/api/x")).json()) as Said;
  expect(below).toMatchObject({ name: "api", path: "/api/x" });
  const beside = (await (await ask(http, "web.shop", "/apix")).json()) as Said;
  expect(beside.name).toBe("web");
});

test("bodies stream both ways at once, 64 MB and chunk by chunk", async () => {
  const { door, http } = await openWorld();
  const routes = [route("web", [ready("w", backend("web"))])];
  await door.handle({ kind: "routes", routes });
  const bytes = Buffer.alloc(64 * 1024 * 1024, "naru");
  const whole = await ask(http, "web", "/echo", { method: "POST", body: bytes });
  expect(Bun.hash(await whole.arrayBuffer())).toBe(Bun.hash(bytes));
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const body = new ReadableStream<Uint8Array>({
    type: "bytes",
    start: async (controller) => {
      controller.enqueue(Buffer.from("one"));
      await gates[0]!.promise;
      controller.enqueue(Buffer.from("two"));
      controller.close();
    },
  });
  const port = await rawBackend((socket) => {
    socket.once("data", () => {
      socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nearly\r\n");
      void gates[1]!.promise.then(() => socket.write("4\r\nlate\r\n0\r\n\r\n"));
    });
  });
  await door.handle({ kind: "routes", routes: [route("raw", [ready("r", port)])] });
  const answer = await ask(http, "raw", "/", { method: "POST", body });
  const reader = answer.body!.getReader();
  expect(Buffer.from((await reader.read()).value!).toString()).toBe("early");
  gates[0]!.resolve();
  gates[1]!.resolve();
  expect(Buffer.from((await reader.read()).value!).toString()).toBe("late");
}, 300_000);

test("web sockets, and any other protocol that a connection is upgraded to", async () => {
  const { door, http } = await openWorld();
  const upper = await rawBackend((socket) => {
    socket.once("data", () => {
      socket.write(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n",
      );
      socket.on("data", (bytes) => socket.write(String(bytes).toUpperCase()));
      socket.on("end", () => socket.end("BYE"));
    });
  });
  const routes = [route("web", [ready("w", backend("web"))]), route("shout", [ready("s", upper)])];
  await door.handle({ kind: "routes", routes });
  const socket = new WebSocket(`ws://127.0.0.1:${http}/ws`, {
    headers: { host: "web.naru.localhost" },
  } as unknown as string[]);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  socket.onmessage = ({ data }) => resolve(String(data));
  socket.onerror = () => reject(new Error("the web socket broke"));
  socket.onopen = () => socket.send("hello");
  expect(await promise).toBe("web: hello");
  socket.close();
  const head =
    "GET / HTTP/1.1\r\nHost: shout.naru.localhost\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n";
  const answer = await speak(http, `${head}quiet`);
  expect(answer).toStartWith("HTTP/1.1 101 ");
  expect(answer).toContain("Upgrade: shout");
  expect(answer).toEndWith("QUIETBYE");
});

test("of several targets those that are ready take turns; one that is gone is passed over", async () => {
  const { door, http } = await openWorld();
  const [one, two] = [backend("one"), backend("two")];
  const gone = await freePort();
  const waiting: DoorTarget = { name: "x", state: "waiting", ip: "127.0.0.1", port: gone };
  const routes = [route("web", [ready("1", one), ready("2", two), waiting])];
  await door.handle({ kind: "routes", routes });
  const seen: Record<string, number> = {};
  for (let count = 0; count < 20; count += 1) {
    const { name } = (await (await ask(http, "web")).json()) as { name: string };
    seen[name] = (seen[name] ?? 0) + 1;
  }
  expect(seen).toEqual({ one: 10, two: 10 });
  await door.handle({
    kind: "routes",
    routes: [route("web", [ready("1", one), ready("gone", gone)])],
  });
  for (let count = 0; count < 6; count += 1) {
    expect(await (await ask(http, "web")).json()).toMatchObject({ name: "one" });
  }
});

test("404, 502 and 503 say why and what to do, as text and as a page", async () => {
  const { door, http } = await openWorld();
  const closed = await freePort();
  const mute = await rawBackend((socket) => socket.once("data", () => socket.end("hm\r\n\r\n")));
  const routes = [
    route("closed", [ready("c1", closed)]),
    route("mute", [ready("m1", mute)]),
    route("off", [{ name: "o1", state: "down", reason: "exited (1)" }]),
    route("ill", [{ name: "i1", state: "waiting", reason: "its health check fails" }]),
    route("part", [ready("p1", closed)], "/api"),
  ];
  await door.handle({ kind: "routes", routes });
  const said = async (host: string, accept = "*/*"): Promise<[number, string]> => {
    const answer = await ask(http, host, "/", { headers: { accept } });
    return [answer.status, await answer.text()];
  };
  const [notFound, page] = await said("<b>", "text/html");
  expect([notFound, page]).toEqual([404, expect.stringContaining("closed.naru.localhost")]);
  expect(page).not.toContain("<b>");
  expect(await said("part")).toEqual([404, expect.stringContaining("other paths")]);
  expect(await said("closed")).toEqual([502, expect.stringContaining("naru.http.port")]);
  expect(await said("mute")).toEqual([502, expect.stringContaining("cannot be understood")]);
  expect(await said("off")).toEqual([503, expect.stringContaining("o1: exited (1)")]);
  expect(await said("ill")).toEqual([503, expect.stringContaining("its health check fails")]);
  // A page of somebody else's name learns nothing of this machine.
  const foreign = await fetch(`http://127.0.0.1:${http}/`, { headers: { host: "evil.example" } });
  expect(foreign.status).toBe(404);
  expect(await foreign.text()).not.toContain("closed.naru");
});

test("requests that could be read in two ways do not reach a target", async () => {
  const { door, http } = await openWorld();
  let reached = 0;
  const port = await rawBackend((socket) => {
    reached += 1;
    socket.destroy();
  });
  await door.handle({ kind: "routes", routes: [route("web", [ready("w", port)])] });
  const line = "POST / HTTP/1.1\r\nHost: web.naru.localhost\r\n";
  const wrong = [
    `${line}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    `${line}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`,
    `${line}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd`,
    `${line}Content-Length : 4\r\n\r\nabcd`,
    `${line} folded: 1\r\n\r\n`,
    `${line}Host: other.naru.localhost\r\n\r\n`,
    "POST / HTTP/1.1\r\n\r\n",
  ];
  for (const text of wrong) expect(await speak(http, text)).toMatch(/^HTTP\/1\.1 (400|501) /);
  expect(reached).toBe(0);
});

test("many requests on one connection, and a target that ends its answer by hanging up", async () => {
  const { door, http } = await openWorld();
  let connections = 0;
  const old = await rawBackend((socket) => {
    connections += 1;
    socket.once("data", () => socket.end("HTTP/1.0 200 OK\r\n\r\nold"));
  });
  const routes = [route("web", [ready("w", backend("web"))]), route("old", [ready("o", old)])];
  await door.handle({ kind: "routes", routes });
  const request = (host: string, path: string): string =>
    `GET ${path} HTTP/1.1\r\nHost: ${host}.naru.localhost\r\n\r\n`;
  const answer = await speak(
    http,
    request("web", "/1") + request("web", "/2") + request("old", "/"),
    false,
  );
  expect(answer.match(/HTTP\/1\.[01] 200/g)).toHaveLength(3);
  expect(answer).toEndWith("old");
  expect(connections).toBe(1);
});

test("TLS: a certificate for each name, by an authority that is made once", async () => {
  const { door, https, directory } = await openWorld();
  await door.handle({ kind: "routes", routes: [route("web.shop", [ready("w", backend("web"))])] });
  expect(statSync(`${directory}/ca.key`).mode & 0o777).toBe(0o600);
  const ca = readFileSync(`${directory}/ca.pem`, "utf8");
  const get = async (servername: string): Promise<string> => {
    const socket = connectTls({ port: https, host: "127.0.0.1", servername, ca });
    socket.write(`GET / HTTP/1.1\r\nHost: ${servername}\r\nConnection: close\r\n\r\n`);
    let answer = "";
    for await (const bytes of socket) answer += String(bytes);
    return answer;
  };
  expect(await get("web.shop.naru.localhost")).toContain('"x-forwarded-proto":"https"');
  expect(await get("nobody.naru.localhost")).toStartWith("HTTP/1.1 404 ");
  expect(get("www.example.com")).rejects.toThrow();
  door.close();
  const again = openDoor(doorListeners(silentLogger), silentLogger);
  undo.push(() => again.close());
  const listen = { addresses: ["127.0.0.1"], port: await freePort() };
  const config = { http: undefined, https: listen, directory };
  expect(await again.handle({ kind: "configure", config })).toMatchObject({ problems: [] });
  expect(readFileSync(`${directory}/ca.pem`, "utf8")).toBe(ca);
});

test("a port that somebody has is told with what to do; the other one is served", async () => {
  const { door, http, https, directory } = await openWorld();
  const taken = await rawBackend(() => undefined);
  const config = {
    http: { addresses: ["127.0.0.1"], port: http },
    https: { addresses: ["127.0.0.1"], port: taken },
    directory,
  };
  const status = (await door.handle({ kind: "configure", config })) as DoorStatus;
  expect(status.listening).toEqual([`http://127.0.0.1:${http}`]);
  expect(status.problems).toEqual([expect.stringMatching(/in use.*--front-door-https/)]);
  // What is not wanted any more is closed.
  expect(await rawBackendFree(https)).toBe(true);
});

const rawBackendFree = (port: number): Promise<boolean> => {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
};
