import { afterEach, describe, expect, test } from "bun:test";
import { Client } from "#client/client.ts";
import { HttpClient } from "#client/http.ts";
import { hijack, isUpgraded } from "#client/hijack.ts";
import { hasCode } from "#lib/errors.ts";

type Reply = (request: string, socket: Bun.Socket<{ text: string }>) => string | undefined;

const servers: Bun.UnixSocketListener<{ text: string }>[] = [];
let count = 0;

/** Answers each complete request (by its blank line, or by its last chunk) with raw bytes. */
const serve = (reply: Reply) => {
  count += 1;
  const path = `/tmp/naru-client-test-${String(process.pid)}-${String(count)}.sock`;
  const connections = { opened: 0 };
  const server = Bun.listen<{ text: string }>({
    unix: path,
    socket: {
      open: (socket) => {
        connections.opened += 1;
        socket.data = { text: "" };
      },
      data: (socket, bytes) => {
        socket.data.text += bytes.toString("latin1");
        const isChunked = /transfer-encoding: chunked/i.test(socket.data.text);
        const isWhole = isChunked
          ? socket.data.text.endsWith("0\r\n\r\n")
          : socket.data.text.includes("\r\n\r\n");
        if (!isWhole) return;
        const request = socket.data.text;
        socket.data.text = "";
        const answer = reply(request, socket);
        if (answer !== undefined) socket.write(answer);
      },
    },
  });
  servers.push(server);
  return { address: { kind: "unix", path } as const, connections };
};

afterEach(() => {
  for (const server of servers.splice(0)) server.stop(true);
});

const ok = (body: string, more = ""): string =>
  `HTTP/1.1 200 OK\r\nContent-Length: ${String(body.length)}\r\n${more}\r\n${body}`;

describe("bodies of answers", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["of known length", ok("hello")],
    [
      "chunked",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
    ],
    [
      "chunked with trailers",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
    ],
    ["after an interim answer", `HTTP/1.1 100 Continue\r\n\r\n${ok("hello")}`],
  ];
  for (const [name, answer] of cases) {
    test(name, async () => {
      const { address } = serve(() => answer);
      const response = await new HttpClient(address).request({ method: "GET", path: "/" });
      expect(response.status).toBe(200);
      expect(await response.text()).toBe("hello");
    });
  }

  test("until the connection ends", async () => {
    const { address } = serve((_request, socket) => {
      socket.end("HTTP/1.1 200 OK\r\n\r\nhello");
      return undefined;
    });
    const response = await new HttpClient(address).request({ method: "GET", path: "/" });
    expect(await response.text()).toBe("hello");
  });

  test("cut off is an error, not a short body", async () => {
    const { address } = serve((_request, socket) => {
      socket.end("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
      return undefined;
    });
    const response = await new HttpClient(address).request({ method: "GET", path: "/" });
    expect(response.text()).rejects.toThrow("closed the connection within its answer");
  });
});

test("a connection carries one request after another", async () => {
  const { address, connections } = serve(() => ok("x"));
  const client = new HttpClient(address);
  for (let turn = 0; turn < 3; turn += 1) {
    await (await client.request({ method: "GET", path: "/" })).text();
  }
  expect(connections.opened).toBe(1);
  client.close();
});

test("what the server closed meanwhile is opened again", async () => {
  let turn = 0;
  const { address, connections } = serve((_request, socket) => {
    turn += 1;
    if (turn === 1) return ok("x");
    if (turn === 2) {
      socket.end();
      return undefined;
    }
    return ok("y");
  });
  const client = new HttpClient(address);
  await (await client.request({ method: "GET", path: "/" })).text();
  const response = await client.request({ method: "GET", path: "/" });
  expect(await response.text()).toBe("y");
  expect(connections.opened).toBe(2);
});

async function* pieces(): AsyncGenerator<Uint8Array> {
  yield Buffer.from("one");
  yield Buffer.alloc(0);
  yield Buffer.from("two");
}

test("streamed bodies are sent in chunks", async () => {
  let seen = "";
  const { address } = serve((request) => {
    seen = request;
    return ok("done");
  });
  const response = await new HttpClient(address).request({
    method: "POST",
    path: "/",
    body: pieces(),
  });
  expect(await response.text()).toBe("done");
  expect(seen).toEndWith("3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
});

test("a source that fails ends the request", async () => {
  const { address } = serve(() => ok(""));
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield Buffer.from("one");
    throw new Error("disk gone");
  }
  const request = new HttpClient(address).request({ method: "POST", path: "/", body: broken() });
  expect(request).rejects.toThrow("disk gone");
});

test("a source that fails after the answer has begun ends it with the source's reason", async () => {
  const closed = Promise.withResolvers<void>();
  const path = `/tmp/naru-client-test-${String(process.pid)}-source.sock`;
  const server = Bun.listen({
    unix: path,
    socket: {
      data: (socket) =>
        void socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"),
      close: () => closed.resolve(),
    },
  });
  const begun = Promise.withResolvers<void>();
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield Buffer.from("one");
    await begun.promise;
    throw new Error("disk gone");
  }
  const client = new HttpClient({ kind: "unix", path });
  const response = await client.request({ method: "POST", path: "/", body: broken() });
  begun.resolve();
  expect(response.text()).rejects.toThrow("disk gone");
  // The server is not left waiting for the rest.
  await closed.promise;
  server.stop(true);
});

test("nobody listening is told with the reason and a remedy", async () => {
  const client = new HttpClient({ kind: "unix", path: "/tmp/naru-nobody.sock" });
  try {
    await client.request({ method: "GET", path: "/" });
    expect.unreachable();
  } catch (error) {
    expect(hasCode(error, "unavailable")).toBe(true);
    expect((error as Error).message).toContain(
      "there is no socket at that path; is the engine running?",
    );
  }
});

test("an abort ends a waiting request", async () => {
  const { address } = serve(() => undefined);
  const controller = new AbortController();
  const request = new HttpClient(address).request({
    method: "GET",
    path: "/",
    signal: controller.signal,
  });
  setTimeout(() => controller.abort(), 20);
  try {
    await request;
    expect.unreachable();
  } catch (error) {
    expect(hasCode(error, "canceled")).toBe(true);
  }
});

test("an upgrade gives the raw connection, first bytes included", async () => {
  const { address } = serve(
    () =>
      "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n\u0001\0\0\0\0\0\0\u0002hi",
  );
  const answer = await new HttpClient(address).upgrade({ method: "POST", path: "/" });
  if (!isUpgraded(answer)) throw new Error("not upgraded");
  const stream = hijack(answer, false);
  for await (const { stream: name, bytes } of stream.output()) {
    expect([name, Buffer.from(bytes).toString()]).toEqual(["stdout", "hi"]);
    break;
  }
  stream.close();
});

describe("typed calls", () => {
  test("placeholders, queries and bodies", async () => {
    let seen = "";
    const { address } = serve((request) => {
      seen = request;
      return ok('{"Id":"1","Warnings":[]}');
    });
    const client = new Client(address);
    await client.call("containerCreate", {
      query: { name: "a b", platform: undefined },
      body: { Image: "x" },
    });
    expect(seen).toStartWith("POST /v1.51/containers/create?name=a%20b HTTP/1.1\r\n");
    expect(seen).toContain("Content-Type: application/json");
    expect(seen).toEndWith('{"Image":"x"}');
    await client.call("imageInspect", { name: "a.b:5000/c/d:e" });
    expect(seen).toStartWith("GET /v1.51/images/a.b:5000/c/d:e/json HTTP/1.1");
    await client.call("containerList", {
      query: { all: true, size: false, filters: { label: ["a=b"] } },
    });
    expect(seen).toStartWith(
      "GET /v1.51/containers/json?all=1&filters=%7B%22label%22%3A%5B%22a%3Db%22%5D%7D ",
    );
    await client.call("imageSave", { query: { names: ["a", "b"] } });
    expect(seen).toStartWith("GET /v1.51/images/get?names=a&names=b ");
    client.close();
  });

  test("an older engine is believed, by parallel calls too", async () => {
    const refusal =
      '{"message":"client version 1.51 is too new. Maximum supported API version is 1.41"}';
    const { address } = serve((request) =>
      request.includes("/v1.51/")
        ? `HTTP/1.1 400 Bad Request\r\nContent-Length: ${String(refusal.length)}\r\n\r\n${refusal}`
        : ok('{"Version":"20"}'),
    );
    const client = new Client(address);
    const answers = await Promise.all([client.call("version", {}), client.call("version", {})]);
    expect(answers.map((answer) => answer.Version)).toEqual(["20", "20"]);
    expect(client.version).toBe("1.41");
  });

  test("refusals carry the engine's message and a code", async () => {
    const { address } = serve(() =>
      'HTTP/1.1 404 Not Found\r\nContent-Length: 36\r\n\r\n{"message":"No such container: nope"}'.replace(
        "36",
        "37",
      ),
    );
    try {
      await new Client(address).call("containerInspect", { id: "nope" });
      expect.unreachable();
    } catch (error) {
      expect(hasCode(error, "not_found")).toBe(true);
      expect((error as Error).message).toBe("No such container: nope");
    }
  });

  test("not modified is no failure", async () => {
    const { address } = serve(() => "HTTP/1.1 304 Not Modified\r\n\r\n");
    expect(await new Client(address).call("containerStart", { id: "x" })).toBeUndefined();
  });
});

test("an engine that is just ending is asked again where that does no harm", async () => {
  const { address, connections } = serve((_request, socket) => {
    if (connections.opened % 3 !== 0) {
      socket.end();
      return undefined;
    }
    return ok("again");
  });
  const client = new HttpClient(address);
  const answer = await client.request({ method: "GET", path: "/" });
  expect(await answer.text()).toBe("again");
  expect(connections.opened).toBe(3);
  client.close();
  const other = new HttpClient(address);
  expect(await other.request({ method: "POST", path: "/" }).catch(String)).toContain(
    "the engine closed the connection without an answer",
  );
  expect(connections.opened).toBe(4);
  other.close();
});
