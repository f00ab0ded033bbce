import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { watchLiveMemory } from "#lib/live-memory.fake.ts";
import { createHash } from "node:crypto";

import { EchoSession, fakeRecord } from "#api/docker/record.fake.ts";
import { multiplexFrame } from "#api/docker/multiplex.ts";
import { serve, type TestServer, until } from "#api/docker/server.fake.ts";
import { sleep } from "#lib/clock.ts";

const MIB = 1024 * 1024;
let server: TestServer;
const call: TestServer["call"] = (...parts) => server.call(...parts);
beforeAll(async () => {
  server = await serve();
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(() => {
  const { backend } = server;
  backend.calls.length = 0;
  backend.records.splice(0, backend.records.length, fakeRecord());
  backend.session = new EchoSession();
  backend.logLines = [];
});

const upgrade = (url: string, more = ""): string =>
  `POST ${url} HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n${more}\r\n`;
const frame = (stream: 1 | 2, text: string): string =>
  multiplexFrame(stream, Buffer.from(text)).toString("latin1");
const bodyOf = (text: string): string => text.slice(text.indexOf("\r\n\r\n") + 4);
const ATTACH = "/v1.51/containers/web/attach?stream=1&stdin=1&stdout=1&stderr=1";

test("attach: upgraded, multiplexed, half-close is end of file", async () => {
  const client = await server.dial();
  client.send(`${upgrade(ATTACH)}early `);
  client.send("late");
  client.socket.end();
  await until(() => client.isOver());
  expect(client.received()).toStartWith(
    "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
  );
  const echoed = bodyOf(client.received());
  expect(echoed.replaceAll(/[^A-Z ]/g, "")).toStartWith("EARLY LATE");
  expect(echoed).toEndWith(frame(2, "EOF after 10\n"));
  expect(server.backend.session.isClosed).toBe(true);
  expect(server.backend.calls[0]).toBe(
    'attach web {"logs":false,"stream":true,"stdin":true,"stdout":true,"stderr":true,"detachKeys":""}',
  );
});

test("attach: raw with a terminal, content types by version", async () => {
  const head = async (url: string, isTty: boolean, text = upgrade(url)) => {
    server.backend.session = new EchoSession(isTty);
    server.backend.session.say(1, "hi");
    server.backend.session.over();
    const client = await server.dial();
    client.send(text);
    await until(() => client.isOver());
    client.socket.destroy();
    return client.received();
  };
  expect(await head(ATTACH, true)).toContain("application/vnd.docker.raw-stream\r\n");
  expect(bodyOf(await head(ATTACH, true))).toBe("hi");
  expect(await head(ATTACH.replace("1.51", "1.41"), false)).toContain("vnd.docker.raw-stream\r\n");
  const plain = `POST ${ATTACH} HTTP/1.1\r\nHost: d\r\n\r\n`;
  expect(await head(ATTACH, false, plain)).toBe(
    `HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n${frame(1, "hi")}`,
  );
});

test("attach: unknown containers are still plain errors", async () => {
  const answer = await call("POST /containers/nope/attach?stream=1");
  expect([answer.status, answer.json]).toEqual([404, { message: "No such container: nope" }]);
});

test("attach: 200 MB of stdin wait for a slow process", async () => {
  const { session } = server.backend;
  const memory = watchLiveMemory();
  const gate = Promise.withResolvers<void>();
  session.gate = gate.promise;
  const client = await server.dial();
  client.send(upgrade(ATTACH));
  const block = Buffer.alloc(MIB, "z");
  let sent = 0;
  const sending = (async () => {
    for (; sent < 200; sent += 1) {
      if (!client.socket.write(block))
        await new Promise((resolve) => client.socket.once("drain", resolve));
      if (sent % 20 === 0) memory.sample();
    }
    client.socket.end();
  })();
  await sleep(150);
  expect(sent).toBeLessThan(4);
  gate.resolve();
  await sending;
  await until(() => client.isOver());
  expect(client.received()).toContain(`EOF after ${200 * MIB}`);
  expect(memory.peakBytes).toBeLessThan(100 * MIB);
}, 300_000);

test("attach: a client that vanishes while output flows closes the session", async () => {
  const { session } = server.backend;
  const client = await server.dial();
  client.send(upgrade(ATTACH.replace("stdin=1", "stdin=0")));
  await until(() => client.received().includes("101"));
  client.socket.destroy();
  await until(() => {
    session.say(1, "more\n");
    return session.isClosed;
  });
});

test("attach: half-closing without stdin keeps the output", async () => {
  const { session } = server.backend;
  const client = await server.dial();
  client.send(upgrade(ATTACH.replace("stdin=1", "stdin=0")));
  client.socket.end();
  await until(() => client.received().includes("101"));
  await sleep(20);
  session.say(2, "still here");
  session.over();
  await until(() => client.isOver());
  expect(bodyOf(client.received())).toBe(frame(2, "still here"));
});

test("exec: create, start attached, start detached, inspect, resize", async () => {
  const created = await call("POST /containers/web/exec", {
    Cmd: ["sh"],
    AttachStdout: true,
    Env: null,
    ConsoleSize: [1, 2],
  });
  expect([created.status, created.json]).toEqual([201, { Id: "x1" }]);
  expect(server.backend.calls[0]).toBe(
    'execCreate web {"Cmd":["sh"],"AttachStdout":true,"ConsoleSize":[1,2]}',
  );
  await call("POST /v1.41/containers/web/exec", { Cmd: ["sh"], ConsoleSize: [1, 2] });
  expect(server.backend.calls[1]).toBe('execCreate web {"Cmd":["sh"]}');
  expect((await call("POST /containers/web/exec", {})).json.message).toBe(
    "No exec command specified",
  );
  expect((await call("POST /exec/x1/start", { Detach: true })).status).toBe(200);
  expect((await call("GET /exec/x1/json")).json).toMatchObject({ ID: "x1", ExitCode: 3 });
  expect((await call("GET /exec/nope/json")).status).toBe(404);
  expect((await call("POST /exec/nope/start", {})).status).toBe(404);
  expect((await call("POST /exec/x1/resize?h=1&w=2")).status).toBe(200);
  const body = '{"Detach":false,"Tty":true,"ConsoleSize":[24,80]}';
  const client = await server.dial();
  server.backend.session = new EchoSession(true);
  client.send(
    upgrade(
      "/exec/x1/start",
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`,
    ) + body,
  );
  client.send("exit\n");
  await until(() => client.isOver());
  expect(client.received()).toContain("101 UPGRADED");
  expect(bodyOf(client.received())).toBe("EXIT\n");
  expect(server.backend.calls.at(-1)).toBe(
    'execStart x1 {"detach":false,"tty":true,"consoleSize":[24,80]}',
  );
  client.socket.destroy();
});

test("exec: a command that cannot run and a second start are told in the stream, a stopped container is not", async () => {
  const { NaruError } = await import("#lib/errors.ts");
  const start = async () => {
    const client = await server.dial();
    client.send(
      upgrade("/exec/x1/start", "Content-Type: application/json\r\nContent-Length: 2\r\n") + "{}",
    );
    await until(() => client.received().includes("\r\n\r\n"));
    await sleep(20);
    client.socket.destroy();
    return client.received();
  };
  server.backend.failure = new NaruError("invalid_argument", "no such file");
  expect(bodyOf(await start())).toBe(frame(1, "no such file\r\n"));
  const details = { isStartedBefore: true };
  server.backend.failure = new NaruError("conflict", "exec x1 is already running", { details });
  expect(bodyOf(await start())).toBe(frame(1, "exec x1 is already running\r\n"));
  server.backend.failure = new NaruError("conflict", "container x is not running");
  expect(await start()).toStartWith("HTTP/1.1 409 Conflict");
});

const line = (stream: 1 | 2, text: string, second = 0) => ({
  stream,
  timestampNs: 1_767_323_045_000_000_006n + BigInt(second) * 1_000_000_000n,
  bytes: Buffer.from(text),
});

test("logs: frames, timestamps, details, options", async () => {
  server.backend.logLines = [line(1, "out\n"), line(2, "err\n", 1)];
  const plain = await call("GET /containers/web/logs?stdout=1&stderr=1");
  expect(plain.headers.get("content-type")).toBe("application/vnd.docker.multiplexed-stream");
  expect(plain.text).toBe(frame(1, "out\n") + frame(2, "err\n"));
  const stamped = await call(
    "GET /containers/web/logs?stdout=1&timestamps=1&details=1&tail=5&since=1.5&until=0",
  );
  expect(stamped.text).toStartWith(frame(1, "2026-01-02T03:04:05.000000006Z app=web out\n"));
  expect(server.backend.calls.at(-1)).toContain("tail: 5");
  expect(server.backend.calls.at(-1)).toContain("since: 1500000000n");
  expect(server.backend.calls.at(-1)).not.toContain("until");
  server.backend.logLines[1] = { ...line(1, "rest\n"), isContinuation: true };
  const parts = await call("GET /containers/web/logs?stdout=1&timestamps=1");
  expect(parts.text).toEndWith(frame(1, "rest\n"));
  server.backend.logLines = [line(1, "out\n"), line(2, "err\n", 1)];
  const { config } = fakeRecord();
  server.backend.records[0] = fakeRecord({ config: { ...config, Tty: true } });
  const tty = await call("GET /containers/web/logs?stdout=1&tail=all");
  expect([tty.headers.get("content-type"), tty.text]).toEqual([
    "application/vnd.docker.raw-stream",
    "out\nerr\n",
  ]);
  expect((await call("GET /containers/web/logs")).json.message).toContain(
    "you must choose at least one stream",
  );
  expect((await call("GET /containers/nope/logs?stdout=1")).status).toBe(404);
  expect((await call("GET /containers/web/logs?stdout=1&since=x")).status).toBe(400);
});

test("logs: many lines are few writes, following ends with the client", async () => {
  server.backend.logLines = Array.from({ length: 100_000 }, (_, index) =>
    line(1, `line ${index}\n`),
  );
  const before = server.writes();
  const all = await call("GET /containers/web/logs?stdout=1");
  expect(all.text.length).toBeGreaterThan(100_000 * 18);
  expect(server.writes() - before).toBeLessThan(200);
  server.backend.logLines = [line(1, "one\n")];
  const client = await server.dial();
  client.send("GET /containers/web/logs?stdout=1&follow=1 HTTP/1.1\r\nHost: d\r\n\r\n");
  await until(() => client.received().includes("one\n"));
  client.socket.destroy();
  await until(() => server.backend.calls.includes("logs aborted"));
});

test("stats: single, one-shot, stream", async () => {
  const oneShot = (await call("GET /containers/web/stats?stream=0&one-shot=1")).json;
  expect(oneShot).toMatchObject({
    preread: "0001-01-01T00:00:00Z",
    precpu_stats: { cpu_usage: { total_usage: 0 } },
  });
  expect((await call("GET /containers/web/stats?stream=1&one-shot=1")).status).toBe(400);
  server.backend.calls.length = 0;
  const single = (await call("GET /containers/web/stats?stream=false")).json;
  expect([single.cpu_stats, single.precpu_stats]).toEqual([{ total: 2 }, { total: 1 }]);
  const client = await server.dial();
  client.send("GET /containers/web/stats HTTP/1.1\r\nHost: d\r\n\r\n");
  await until(() => client.received().split("preread").length === 3);
  client.socket.destroy();
  // That the client has gone may be noticed late: then one more sample was taken.
  let count = -1;
  for (let tries = 0; tries < 20 && count !== server.backend.calls.length; tries += 1) {
    count = server.backend.calls.length;
    await sleep(1100);
  }
  expect(server.backend.calls.length).toBe(count);
});

test("events: live, filtered, legacy fields, gone with the client", async () => {
  const { backend } = server;
  const follow = async (query: string) => {
    const client = await server.dial();
    client.send(`GET ${query} HTTP/1.1\r\nHost: d\r\n\r\n`);
    await until(() => client.received().includes("\r\n\r\n"));
    return client;
  };
  const filters = (value: object) => `filters=${encodeURIComponent(JSON.stringify(value))}`;
  const all = await follow("/events?since=10");
  const some = await follow(
    `/events?${filters({ type: ["container"], event: ["health_status"], image: ["naru/hello"] })}`,
  );
  const old = await follow("/v1.45/events");
  const event = (Type: "container" | "image", Action: string) => ({
    Type,
    Action,
    Actor: {
      ID: Type === "image" ? "naru/hello:latest" : "c1",
      Attributes: { image: "naru/hello:1", name: "web" },
    },
    scope: "local" as const,
    time: 1,
    timeNano: 1_000_000_001,
  });
  backend.live.publish(event("container", "start"));
  backend.live.publish(event("container", "health_status: healthy"));
  backend.live.publish(event("image", "create"));
  backend.live.publish(event("image", "tag"));
  await until(() => all.received().includes('"tag"') && old.received().includes('"tag"'));
  expect(backend.calls[0]).toBe("events 10000000000 undefined");
  expect(all.received()).toContain(
    '{"status":"start","id":"c1","from":"naru/hello:1","Type":"container","Action":"start","Actor":{"ID":"c1"',
  );
  expect(all.received()).toContain('"Action":"create"');
  expect(old.received()).not.toContain('"Action":"create"');
  expect(some.received()).toContain("health_status: healthy");
  expect(some.received()).not.toContain('"start"');
  expect(backend.live.subscriberCount).toBe(3);
  for (const client of [all, some, old]) client.socket.destroy();
  await until(() => backend.live.subscriberCount === 0);
  expect((await call("GET /events?since=10&until=5")).json.message).toBe(
    "`since` time (10) cannot be after `until` time (5)",
  );
  expect((await call("GET /events?until=soon")).status).toBe(400);
  expect((await call("GET /events?filters=abc")).json.message).toContain("invalid filter");
});

const masked = (opcode: number, payload: string, isFinal = true): Buffer => {
  const mask = Buffer.from([1, 2, 3, 4]);
  const bytes = Buffer.from(payload);
  const body = bytes.map((byte, index) => byte ^ mask[index % 4]!);
  return Buffer.concat([
    Buffer.from([(isFinal ? 0x80 : 0) | opcode, 0x80 | bytes.length]),
    mask,
    body,
  ]);
};

test("attach over a WebSocket", async () => {
  const handshake = (version = "13") =>
    `GET /containers/web/attach/ws?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: ${version}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;
  const client = await server.dial();
  client.send(handshake());
  await until(() => client.received().endsWith("\r\n\r\n"));
  const accept = createHash("sha1")
    .update("dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
    .digest("base64");
  expect(client.received()).toContain(`Sec-WebSocket-Accept: ${accept}\r\n`);
  client.socket.write(Buffer.concat([masked(2, "he", false), masked(9, "ping"), masked(0, "llo")]));
  await until(() => bodyOf(client.received()).includes("LLO"));
  const said = bodyOf(client.received());
  expect(said).toContain("\u0082");
  expect(said).toContain("\u008a\u0004ping");
  expect(said.replaceAll(/[^A-Z]/g, "")).toBe("HELLO");
  client.socket.write(masked(8, ""));
  await until(() => client.isOver());
  expect(bodyOf(client.received())).toEndWith("\u0088\u0002\u0003\u00e8");
  expect(server.backend.session.isClosed).toBe(true);
  expect((await call("GET /containers/web/attach/ws")).status).toBe(400);
});

test("Bun's own WebSocket client understands", async () => {
  const got: string[] = [];
  const socket = new WebSocket(
    `ws+unix://${server.path}:/containers/web/attach/ws?stream=1&stdin=1&stdout=1`,
  );
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => void got.push(Buffer.from(data as ArrayBuffer).toString());
  socket.onopen = () => socket.send("hello");
  await until(() => got.join("") === "HELLO");
  socket.close();
  await until(() => server.backend.session.isClosed);
});

test("no session or connection is left behind", async () => {
  await until(() => server.http.connectionCount <= 8);
  expect(server.backend.live.subscriberCount).toBe(0);
});
