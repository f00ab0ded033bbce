import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";

import { fakeRecord } from "#api/docker/record.fake.ts";
import { NaruError } from "#lib/errors.ts";
import { serve, type TestServer, until } from "#api/docker/server.fake.ts";

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
});

test("inspect", async () => {
  const { json, text } = await call("GET /containers/web/json?size=1");
  const record = fakeRecord();
  expect(text).toContain("A=<b>&c");
  expect(json).toMatchObject({
    Id: record.id,
    Name: "/web",
    Path: "sh",
    Args: ["-c", "echo hi"],
    Image: record.imageId,
    Platform: "linux",
    Driver: "overlayfs",
    ExecIDs: ["x1"],
    SizeRw: 7,
    SizeRootFs: 70,
    HostnamePath: `/c/${record.id}/hostname`,
    GraphDriver: { Data: { UpperDir: `/s/${record.id}/upper` }, Name: "overlayfs" },
    State: {
      Status: "running",
      Running: true,
      Paused: false,
      Restarting: false,
      Dead: false,
      Pid: 42,
      ExitCode: 0,
    },
    Config: { Image: "naru/hello", Labels: { app: "web" } },
    NetworkSettings: {
      IPAddress: "172.17.0.2",
      Gateway: "172.17.0.1",
      Ports: { "80/tcp": [{ HostIp: "0.0.0.0", HostPort: "8080" }] },
      Networks: { bridge: { Aliases: ["alias"] } },
    },
  });
  expect("SizeRw" in (await call("GET /containers/web/json")).json).toBe(false);
  expect((await call("GET /containers/nope/json")).json).toEqual({
    message: "No such container: nope",
  });
  const { endpoints } = record;
  server.backend.records[0] = fakeRecord({ endpoints: { mine: endpoints["bridge"]! } });
  const old = (await call("GET /v1.44/containers/web/json")).json;
  expect(old.NetworkSettings.Networks.mine.Aliases).toEqual(["alias", "c1aaaaaaaaaa"]);
  expect(old.NetworkSettings.IPAddress).toBe("");
});

test("inspect answers when a restart that is under way is over", async () => {
  const { backend } = server;
  const ended = fakeRecord();
  backend.records[0] = { ...ended, state: { ...ended.state, status: "created" } as never };
  const { promise, resolve } = Promise.withResolvers<void>();
  backend.restartUnderway = promise;
  const answer = call("GET /containers/web/json");
  // What was asked first is answered first, but for what waits.
  await call("GET /containers/web/logs?stdout=1");
  backend.records[0] = ended;
  resolve();
  expect((await answer).json.State.Status).toBe("running");
  backend.restartUnderway = undefined;
});

test("create: name, platform, warnings, and what older versions meant", async () => {
  const create = async (query: string, body: object, minor = 51) => {
    server.backend.calls.length = 0;
    const { status, json } = await call(`POST /v1.${minor}/containers/create?${query}`, body);
    if (status !== 201) return `${status} ${json.message}`;
    const [, name, ...rest] = server.backend.calls[0]!.split(" ");
    return {
      name,
      ...json,
      platform: rest.at(-1),
      request: JSON.parse(rest.slice(0, -1).join(" ")),
    };
  };
  const made = await create("name=/a.b&platform=linux/arm64", {
    Image: "i",
    cmd: "sh",
    Entrypoint: null,
    Unknown: 1,
  });
  expect(made).toEqual({
    name: "a.b",
    Id: "new",
    Warnings: [],
    platform: "linux/arm64",
    request: { Image: "i", Cmd: ["sh"], HostConfig: { NetworkMode: "bridge" } },
  });
  expect(await create("name=a", { Image: "i" })).toBe(
    "400 Invalid container name (a), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
  );
  expect(await create("name=-ab", { Image: "i" })).toStartWith("400 Invalid container name (-ab)");
  const endpoints = { NetworkingConfig: { EndpointsConfig: { default: { Aliases: ["x"] } } } };
  expect(await create("", { ...endpoints, HostConfig: { NetworkMode: "default" } })).toMatchObject({
    request: { NetworkingConfig: { EndpointsConfig: { bridge: { Aliases: ["x"] } } } },
  });
  const two = {
    NetworkingConfig: { EndpointsConfig: { a: {}, b: {} } },
    HostConfig: { NetworkMode: "a" },
  };
  expect(await create("", two, 43)).toBe(
    "400 Container cannot be created with multiple network endpoints: a, b",
  );
  expect(await create("", two)).toMatchObject({ Id: "new" });
  const mac = await create("", { MacAddress: "02:00:00:00:00:01" });
  expect(mac).toMatchObject({
    Warnings: [expect.stringContaining("MacAddress field is now deprecated")],
    request: {
      NetworkingConfig: { EndpointsConfig: { bridge: { MacAddress: "02:00:00:00:00:01" } } },
    },
  });
  expect(await create("", { MacAddress: "x", HostConfig: { NetworkMode: "host" } }, 43)).toBe(
    "400 conflicting options: mac-address and the network mode",
  );
  const mount = (more: object) => ({
    HostConfig: { Mounts: [{ Type: "bind", Source: "/a", Target: "/b", ...more }] },
  });
  expect(await create("", mount({ VolumeOptions: {} }))).toBe(
    '400 VolumeOptions must not be specified on mount type "bind"',
  );
  expect(await create("", mount({ VolumeOptions: {} }), 41)).toMatchObject({ Id: "new" });
  expect(await create("", mount({ Type: "image" }), 47)).toBe(
    '400 Mount type "Image" needs API v1.48 or newer',
  );
  expect(
    await create("", { HostConfig: { PidsLimit: -1, Annotations: { a: "b" } } }, 42),
  ).toMatchObject({
    request: { HostConfig: { NetworkMode: "bridge" } },
  });
  expect(await create("", { HostConfig: { PortBindings: { "80/tcp": [] } } })).toMatchObject({
    request: { HostConfig: { PortBindings: { "80/tcp": [{ HostIp: "", HostPort: "" }] } } },
  });
  expect(await create("", { Healthcheck: { StartInterval: 5 } }, 43)).toMatchObject({
    request: { Healthcheck: {} },
  });
});

test("create: only a missing image is 404, which clients answer with a pull", async () => {
  const create = async (message: string) => {
    server.backend.failure = new NaruError("not_found", message);
    return (await call("POST /containers/create", { Image: "x" })).status;
  };
  expect(await create("No such image: x:latest")).toBe(404);
  expect(await create("No such container: gone")).toBe(400);
  expect(await create("network gone not found")).toBe(400);
});

test("verbs that answer with a status", async () => {
  const table: [string, number, string][] = [
    ["POST /containers/web/start", 204, "start web"],
    [
      "POST /containers/web/stop?t=3&signal=INT",
      204,
      'stop web {"signal":"INT","timeoutSeconds":3}',
    ],
    ["POST /v1.41/containers/web/stop?signal=INT", 204, "stop web {}"],
    ["POST /containers/web/stop?t=-1", 204, 'stop web {"timeoutSeconds":-1}'],
    ["POST /containers/web/restart?t=0", 204, 'restart web {"timeoutSeconds":0}'],
    ["POST /containers/web/kill?signal=HUP", 204, "kill web HUP"],
    ["POST /containers/web/kill", 204, "kill web "],
    ["POST /containers/web/pause", 204, "pause web"],
    ["POST /containers/web/unpause", 204, "unpause web"],
    ["POST /containers/web/rename?name=/new", 204, "rename web /new"],
    ["POST /containers/web/resize?h=24&w=80", 200, 'resize web {"height":24,"width":80}'],
    ["DELETE /containers/web/alias?link=1", 204, "removeLink web/alias"],
    ["DELETE /containers/web?v=1&force=true", 204, 'remove web {"force":true,"volumes":true}'],
    ["GET /containers/web/top?ps_args=aux", 200, "top web aux"],
  ];
  for (const [request, status, noted] of table) {
    server.backend.calls.length = 0;
    const answer = await call(request);
    expect([request, answer.status, ...server.backend.calls]).toEqual([request, status, noted]);
    if (status === 204) expect(answer.text).toBe("");
  }
  expect((await call("POST /containers/web/stop?t=soon")).status).toBe(400);
  expect((await call("POST /containers/web/resize?h=-1&w=1")).json.message).toBe(
    'invalid resize height "-1": value out of range',
  );
  expect((await call("POST /containers/web/start", { HostConfig: {} })).status).toBe(400);
  expect((await call("POST /containers/nope/kill")).json.message).toBe(
    "cannot kill container: nope: No such container: nope",
  );
  expect((await call("GET /containers/web/changes")).json).toBeNull();
});

test("update and prune", async () => {
  const update = await call("POST /containers/web/update", {
    Memory: 5,
    PidsLimit: -1,
    RestartPolicy: { Name: "no" },
  });
  expect(update.json).toEqual({ Warnings: null });
  expect(server.backend.calls).toEqual([
    'update web {"Memory":5,"PidsLimit":0,"RestartPolicy":{"Name":"no"}}',
  ]);
  const filters = encodeURIComponent('{"label!":["keep"]}');
  expect((await call(`POST /containers/prune?filters=${filters}`)).json).toEqual({
    ContainersDeleted: ["x"],
    SpaceReclaimed: 5,
  });
  expect(
    (await call(`POST /containers/prune?filters=${encodeURIComponent('{"name":["x"]}')}`)).status,
  ).toBe(400);
});

test("wait: the head at once, the code later; a client that leaves aborts", async () => {
  const { backend } = server;
  const client = await server.dial();
  client.send("POST /v1.51/containers/web/wait?condition=removed HTTP/1.1\r\nHost: d\r\n\r\n");
  await until(() => client.received().endsWith("\r\n\r\n"));
  expect(client.received()).toStartWith("HTTP/1.1 200 OK");
  expect(backend.calls).toEqual(["wait web removed"]);
  backend.waiters.at(-1)?.resolve({ exitCode: 7, error: "stuck" });
  await until(() => client.received().includes("StatusCode"));
  expect(client.received()).toContain('{"StatusCode":7,"Error":{"Message":"stuck"}}\n');
  client.send("POST /containers/web/wait HTTP/1.1\r\nHost: d\r\n\r\n");
  await until(() => backend.calls.length === 2);
  client.socket.destroy();
  await until(() => backend.calls.at(-1) === "wait aborted");
  expect((await call("POST /containers/web/wait?condition=odd")).json.message).toBe(
    'invalid condition: "odd"',
  );
  expect((await call("POST /containers/nope/wait")).status).toBe(404);
});

test("files: stat, read, write, export, commit", async () => {
  const head = await call("HEAD /containers/web/archive?path=/f");
  const stat = JSON.parse(
    Buffer.from(head.headers.get("x-docker-container-path-stat")!, "base64").toString(),
  );
  expect(stat).toEqual({
    name: "f",
    size: 3,
    mode: 420,
    mtime: "0001-01-01T00:00:00Z",
    linkTarget: "",
  });
  const read = await call("GET /containers/web/archive?path=/f");
  expect([read.text, read.headers.get("content-type")]).toEqual(["tar bytes", "application/x-tar"]);
  expect(read.headers.has("x-docker-container-path-stat")).toBe(true);
  const put = await call(
    "PUT /containers/web/archive?path=/&noOverwriteDirNonDir=1&copyUIDGID=1",
    "12345",
  );
  expect(put.status).toBe(200);
  expect(server.backend.calls.at(-1)).toBe(
    'write web / 5 {"noOverwriteDirNonDir":true,"copyUidGid":true}',
  );
  expect((await call("GET /containers/web/archive")).json.message).toBe(
    "bad parameter: path cannot be empty",
  );
  expect((await call("GET /containers/web/export")).text).toBe("tar");
  const commit = await call(
    "POST /commit?container=web&repo=a/b&tag=1&pause=0&changes=CMD%20x&changes=ENV%20a=b",
    {
      Labels: { a: "b" },
    },
  );
  expect([commit.status, commit.json.Id]).toEqual([201, `sha256:cc${"0".repeat(62)}`]);
  expect(JSON.parse(server.backend.calls.at(-1)!.slice(7))).toEqual({
    container: "web",
    reference: "a/b:1",
    author: "",
    comment: "",
    pause: false,
    changes: ["CMD x", "ENV a=b"],
    config: { Labels: { a: "b" } },
  });
  expect((await call("POST /commit?container=web&repo=a@sha256:00")).status).toBe(400);
});
