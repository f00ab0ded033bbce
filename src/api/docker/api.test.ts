import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";

import { errorBody, statusOf } from "#api/docker/errors.ts";
import { Query } from "#api/docker/query.ts";
import { createRouter } from "#api/docker/router.ts";
import { routes } from "#api/docker/routes.ts";
import { serve, type TestServer } from "#api/docker/server.fake.ts";
import { parseTime } from "#api/docker/time.ts";
import { splitVersion } from "#api/docker/version.ts";
import { nowNs } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";

let server: TestServer;
beforeAll(async () => {
  server = await serve();
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(() => void (server.backend.calls.length = 0));

test("ping: GET and HEAD, with and without a version", async () => {
  for (const path of ["/_ping", "/v1.24/_ping", "/v1.51/_ping"]) {
    const { status, text, headers } = await server.call(`GET ${path}`);
    expect([status, text]).toEqual([200, "OK"]);
    expect(headers.get("api-version")).toBe("1.51");
    expect(headers.get("server")).toBe("Docker/28.5.2 (linux)");
    expect(headers.get("ostype")).toBe("linux");
    expect(headers.get("docker-experimental")).toBe("false");
    expect(headers.get("builder-version")).toBe("1");
    expect(headers.get("swarm")).toBe("inactive");
    expect(headers.get("cache-control")).toBe("no-cache, no-store, must-revalidate");
    expect(headers.get("content-type")).toBe("text/plain; charset=utf-8");
  }
  const head = await server.call("HEAD /_ping");
  expect([head.status, head.text, head.headers.get("builder-version")]).toEqual([200, "", "1"]);
});

test("versions out of range are refused in Docker's words", async () => {
  const tooNew = await server.call("GET /v1.99/info");
  expect([tooNew.status, tooNew.json]).toEqual([
    400,
    { message: "client version 1.99 is too new. Maximum supported API version is 1.51" },
  ]);
  const tooOld = await server.call("GET /v1.10/info");
  expect([tooOld.status, tooOld.json.message]).toEqual([
    400,
    "client version 1.10 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version",
  ]);
  expect(tooOld.headers.get("api-version")).toBe("1.51");
});

test("every version from 1.24 to 1.51 is spoken", async () => {
  for (let minor = 24; minor <= 51; minor += 1) {
    const { status } = await server.call(`GET /v1.${minor}/containers/json`);
    expect(status).toBe(200);
  }
});

test("unknown paths and methods are not found", async () => {
  for (const request of [
    "GET /nothing",
    "GET /v1.51/nothing",
    "PUT /info",
    "GET /vx/info",
    "GET /v1.51",
  ]) {
    const { status, json } = await server.call(request);
    expect([status, json]).toEqual([404, { message: "page not found" }]);
  }
  expect((await server.call("OPTIONS /containers/json")).status).toBe(200);
});

test("splitVersion", () => {
  expect(splitVersion("/v1.41/info")).toEqual({ version: "1.41", path: "/info" });
  expect(splitVersion("/version")).toEqual({ version: undefined, path: "/version" });
  expect(splitVersion("/volumes")).toEqual({ version: undefined, path: "/volumes" });
  expect(splitVersion("/v1.41")).toEqual({ version: undefined, path: "/v1.41" });
});

test("the router decodes, takes slashes where names have them, and prefers exact paths", () => {
  const find = createRouter(routes);
  const at = (method: string, path: string) => {
    const match = find(method, path);
    return match === undefined ? undefined : [match.route.pattern, ...match.parameters];
  };
  expect(at("GET", "/containers/json")).toEqual(["/containers/json"]);
  expect(at("GET", "/containers/web/json")).toEqual(["/containers/{id…}/json", "web"]);
  expect(at("GET", "/containers/%2Fweb/json")).toEqual(["/containers/{id…}/json", "web"]);
  expect(at("GET", "/containers//web/json")).toEqual(["/containers/{id…}/json", "web"]);
  expect(at("GET", "/containers/a/b:c/json")).toEqual(["/containers/{id…}/json", "a/b:c"]);
  expect(at("GET", "/containers/a/attach/ws")).toEqual(["/containers/{id…}/attach/ws", "a"]);
  expect(at("GET", "/images/a/b:c/json")).toEqual(["/images/{name…}/json", "a/b:c"]);
  expect(at("GET", "/images/h:5000%2Fa%2Fb/history")).toEqual([
    "/images/{name…}/history",
    "h:5000/a/b",
  ]);
  expect(at("DELETE", "/images/a/json")).toEqual(["/images/{name…}", "a/json"]);
  expect(at("GET", "/images/get")).toEqual(["/images/get"]);
  expect(at("GET", "/images/a/b/get")).toEqual(["/images/{name…}/get", "a/b"]);
  expect(at("POST", "/containers/create")).toEqual(["/containers/create"]);
  expect(at("GET", "/images/%E0%A4%A/json")).toEqual(["/images/{name…}/json", "%E0%A4%A"]);
});

test("no route shadows another", () => {
  const seen = new Set<string>();
  for (const { method, pattern } of routes) {
    const key = `${method} ${pattern}`;
    expect(seen.has(key)).toBe(false);
    seen.add(key);
  }
});

test("error codes and statuses", () => {
  const status = (code: NaruError["code"]): number => statusOf(new NaruError(code, "x"));
  expect([status("not_found"), status("conflict"), status("already_exists")]).toEqual([
    404, 409, 409,
  ]);
  expect([status("invalid_argument"), status("not_modified")]).toEqual([400, 304]);
  expect([status("permission_denied"), status("unavailable"), status("internal")]).toEqual([
    403, 503, 500,
  ]);
  expect([status("not_implemented"), status("unauthenticated")]).toEqual([501, 401]);
  expect(errorBody('a "b" <c>&')).toBe('{"message":"a \\"b\\" <c>&"}\n');
});

test("errors of the backend: status, body, no body for 304", async () => {
  const { backend } = server;
  backend.failure = new NaruError("conflict", "in use <&>");
  const conflict = await server.call("POST /containers/web/start");
  expect([conflict.status, conflict.text]).toEqual([409, '{"message":"in use <&>"}\n']);
  expect(conflict.headers.get("content-type")).toBe("application/json");
  backend.failure = new NaruError("not_modified", "already started");
  const same = await server.call("POST /containers/web/start");
  expect([same.status, same.text, same.headers.get("content-length")]).toEqual([304, "", null]);
  const missing = await server.call("POST /containers/nope/start");
  expect([missing.status, missing.json]).toEqual([404, { message: "No such container: nope" }]);
});

test("bodies: bad JSON, wrong types, limits", async () => {
  const json = { "Content-Type": "application/json" };
  const create = (body: string, headers: Record<string, string> = json) =>
    server.call("POST /containers/create", body, headers);
  const message = async (answer: Promise<{ status: number; json: { message: string } }>) => {
    const { status, json: body } = await answer;
    return `${status} ${body.message}`;
  };
  expect(await message(create("{"))).toStartWith("400 invalid JSON: ");
  expect(await message(create("   "))).toBe("400 invalid JSON: got EOF while reading request body");
  expect(await message(create("{} {}"))).toStartWith("400 invalid JSON: ");
  expect(await message(create("[]"))).toBe("400 invalid JSON: the request body is not an object");
  expect(await message(create("null"))).toBe(
    "400 config cannot be empty in order to create a container",
  );
  expect(await message(create(""))).toBe(
    "400 config cannot be empty in order to create a container",
  );
  expect(await message(create("{}", { "Content-Type": "text/plain" }))).toBe(
    "400 unsupported Content-Type header (text/plain): must be 'application/json'",
  );
  expect(await message(create('{"Cmd":5}'))).toBe(
    '400 invalid JSON: "Cmd" is not a list of strings',
  );
  expect(await message(create('{"HostConfig":{"Memory":"1g"}}'))).toBe(
    '400 invalid JSON: "HostConfig.Memory" is not a whole number',
  );
  const huge = await create(`{"Image":"${"x".repeat(5 * 1024 * 1024)}"}`);
  expect(huge.status).toBe(413);
  const charset = await create('{"Image":"a"}', {
    "Content-Type": "application/json; charset=utf-8",
  });
  expect(charset.status).toBe(201);
});

test("what is not HTTP gets Docker's kind of error", async () => {
  const client = await server.dial();
  client.send("GET / HTTP/1.1\r\n\r\n");
  const { until } = await import("#api/docker/server.fake.ts");
  await until(() => client.isOver());
  expect(client.received()).toStartWith("HTTP/1.1 400 Bad Request\r\n");
  expect(client.received()).toEndWith('{"message":"missing Host header"}\n');
  client.socket.destroy();
});

test("query flags as Docker reads them", () => {
  const query = new Query("a=1&b=0&c=&d=No&e=whatever&f= false &g");
  expect(["a", "b", "c", "d", "e", "f", "g", "h"].map((name) => query.flag(name))).toEqual([
    true,
    false,
    false,
    false,
    true,
    false,
    false,
    false,
  ]);
  expect(query.flag("h", true)).toBe(true);
  expect(query.flag("b", true)).toBe(false);
  expect(new Query("n=-1").integer("n")).toBe(-1);
  expect(() => new Query("n=x").integer("n")).toThrow('invalid value "x"');
  expect(() => new Query("filters={").filters([])).toThrow("invalid filters");
});

test("times", () => {
  expect(parseTime("", "since")).toBeUndefined();
  expect(parseTime("1136073600.000000001", "since")).toBe(1136073600000000001n);
  expect(parseTime("1136073600.5", "since")).toBe(1136073600500000000n);
  expect(parseTime("2006-01-01T00:00:00Z", "since")).toBe(1136073600000000000n);
  expect(parseTime("2006-01-01", "since")).toBe(1136073600000000000n);
  expect(parseTime("2006-01-01T01:00+01:00", "since")).toBe(1136073600000000000n);
  const hourAgo = nowNs() - 3_600_000_000_000n;
  expect(Number((parseTime("1h", "since") ?? 0n) - hourAgo) / 1e9).toBeCloseTo(0, 0);
  expect(() => parseTime("yesterday", "since")).toThrow('invalid value for "since"');
});

test("what naru does not do is refused by name", async () => {
  const status = async (request: string) => (await server.call(request)).status;
  for (const noun of ["swarm", "nodes", "services", "tasks", "secrets", "configs"]) {
    const { status: code, json } = await server.call(`GET /${noun}`);
    expect([code, json.message]).toEqual([
      503,
      'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
    ]);
  }
  expect(await status("POST /swarm/init")).toBe(503);
  expect((await server.call("GET /plugins")).json).toEqual([]);
  for (const request of ["POST /build", "POST /plugins/pull", "GET /containers/web/checkpoints"]) {
    expect(await status(request)).toBe(501);
  }
});

test("version and info, by API version", async () => {
  expect((await server.call("GET /version")).json.Version).toBe("28.5.2");
  const info = async (minor: number) => (await server.call(`GET /v1.${minor}/info`)).json;
  const latest = await info(51);
  expect(latest).toMatchObject({
    Containers: 1,
    ContainersRunning: 1,
    ContainersPaused: 0,
    ContainersStopped: 0,
    Images: 1,
  });
  expect(latest.Swarm.LocalNodeState).toBe("inactive");
  expect(latest.FirewallBackend).toEqual({ Driver: "nftables" });
  expect(latest.Runtimes.crun.status).toEqual({ a: "b" });
  expect(latest.RuncCommit).toEqual({ ID: "r" });
  expect("BridgeNfIptables" in latest).toBe(false);
  expect((await info(49)).BridgeNfIptables).toBe(false);
  const old = await info(43);
  expect(old.FirewallBackend).toBeUndefined();
  expect(old.Runtimes.crun).toEqual({ path: "/usr/bin/crun" });
  expect(old.RuncCommit).toEqual({ ID: "r", Expected: "r" });
  expect(old.RegistryConfig.AllowNondistributableArtifactsCIDRs).toBeNull();
  expect((await info(24)).SecurityOptions).toEqual(["seccomp"]);
});

test("disk usage, whole and by kind", async () => {
  const all = (await server.call("GET /system/df")).json;
  expect(Object.keys(all)).toEqual(["LayersSize", "Images", "Containers", "Volumes", "BuildCache"]);
  expect(all.Containers[0]).toMatchObject({ SizeRw: 7, SizeRootFs: 70 });
  expect(all.Images[0]).toMatchObject({ SharedSize: 1, Containers: 2 });
  const some = (await server.call("GET /system/df?type=volume&type=container")).json;
  expect([some.Images, some.LayersSize, some.BuildCache]).toEqual([null, 0, null]);
  expect(some.Volumes).not.toBeNull();
  expect((await server.call("GET /system/df?type=x")).json.message).toBe("unknown object type: x");
  expect((await server.call("GET /v1.41/system/df")).json.BuilderSize).toBe(0);
  // Older clients than the endpoint are answered too, as Docker does it.
  expect((await server.call("GET /v1.24/system/df")).status).toBe(200);
});
