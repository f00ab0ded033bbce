import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";

import { fakeRecord } from "#api/docker/backend.fake.ts";
import { ageText, statusTemplate, statusText } from "#api/docker/container/status-text.ts";
import { serve, type TestServer, until } from "#api/docker/server.fake.ts";
import type { ContainerState } from "#container/container.ts";

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

const ended = {
  exitCode: 3,
  startedAt: "2026-01-01T00:00:00Z",
  finishedAt: "2026-01-01T00:01:00Z",
  isOomKilled: false,
  error: "",
};
const exited: ContainerState = { status: "exited", ...ended };
const process = { pid: 1, startTicks: "1", conmonPid: 1 };

test("ages in words", () => {
  const s = 1000;
  const h = 3600 * s;
  const table: [number, string][] = [
    [0, "Less than a second"],
    [999, "Less than a second"],
    [s, "1 second"],
    [59 * s, "59 seconds"],
    [60 * s, "About a minute"],
    [119 * s, "About a minute"],
    [120 * s, "2 minutes"],
    [3599 * s, "59 minutes"],
    [h, "About an hour"],
    [1.4 * h, "About an hour"],
    [1.6 * h, "2 hours"],
    [47 * h, "47 hours"],
    [48 * h, "2 days"],
    [14 * 24 * h, "2 weeks"],
    [60 * 24 * h, "2 months"],
    [730 * 24 * h, "2 years"],
  ];
  for (const [ms, text] of table) expect(ageText(ms)).toBe(text);
});

test("status texts", () => {
  const at = Date.parse("2026-01-01T00:02:00Z");
  const text = (state: ContainerState) => statusText(statusTemplate(state), at);
  const health = (Status: "healthy" | "starting" | "none") => ({
    Status,
    FailingStreak: 0,
    Log: [],
  });
  expect(text({ status: "running", process, ...ended })).toBe("Up 2 minutes");
  expect(text({ status: "running", process, health: health("healthy"), ...ended })).toBe(
    "Up 2 minutes (healthy)",
  );
  expect(text({ status: "running", process, health: health("starting"), ...ended })).toBe(
    "Up 2 minutes (health: starting)",
  );
  expect(text({ status: "running", process, health: health("none"), ...ended })).toBe(
    "Up 2 minutes",
  );
  expect(text({ status: "paused", process, ...ended })).toBe("Up 2 minutes (Paused)");
  expect(text(exited)).toBe("Exited (3) About a minute ago");
  expect(text({ status: "restarting", ...ended })).toBe("Restarting (3) About a minute ago");
  expect(text({ status: "created", ...ended })).toBe("Created");
  expect(text({ status: "removing", ...ended })).toBe("Removal In Progress");
  expect(text({ status: "dead", ...ended })).toBe("Dead");
});

test("list: one element, all its fields", async () => {
  const { status, json, headers } = await call("GET /containers/json");
  expect([status, headers.get("content-type")]).toEqual([200, "application/json"]);
  expect(json).toHaveLength(1);
  const [item] = json;
  expect(item.Status).toStartWith("Up ");
  expect({ ...item, Status: "" }).toEqual({
    Id: "c1".padEnd(64, "a"),
    Names: ["/web"],
    Image: "naru/hello",
    ImageID: `sha256:1a${"0".repeat(62)}`,
    Command: "sh -c 'echo hi'",
    Created: 1767323045,
    Ports: [{ IP: "0.0.0.0", PrivatePort: 80, PublicPort: 8080, Type: "tcp" }],
    Labels: { app: "web", tier: "1" },
    State: "running",
    Status: "",
    HostConfig: { NetworkMode: "bridge", Annotations: { note: "x" } },
    NetworkSettings: {
      Networks: {
        bridge: {
          ...fakeRecord().endpoints["bridge"],
          Aliases: null,
          Links: null,
          DriverOpts: null,
          DNSNames: null,
        },
      },
    },
    Mounts: fakeRecord().mounts,
  });
  expect((await call("GET /v1.45/containers/json")).json[0].HostConfig).toEqual({
    NetworkMode: "bridge",
  });
  expect((await call("GET /containers/json?size=1")).json[0]).toMatchObject({
    SizeRw: 7,
    SizeRootFs: 70,
  });
});

test("list: an image whose name moved on is shown by id", async () => {
  const { backend } = server;
  const { config } = fakeRecord();
  backend.records[0] = fakeRecord({ config: { ...config, Image: "gone:1" } });
  expect((await call("GET /containers/json")).json[0].Image).toBe(`sha256:1a${"0".repeat(62)}`);
});

const many = (): void => {
  const { config, hostConfig } = fakeRecord();
  const id = (name: string) => name.padEnd(64, "0");
  server.backend.records.splice(
    0,
    1,
    fakeRecord({
      id: id("d4"),
      name: "newest",
      state: exited,
      config: { ...config, Labels: {} },
      mounts: [],
      endpoints: {},
      ports: {},
    }),
    fakeRecord({
      id: id("c3"),
      name: "web-2",
      state: {
        status: "paused",
        process,
        ...ended,
        health: { Status: "healthy", FailingStreak: 0, Log: [] },
      },
    }),
    fakeRecord({
      id: id("b2"),
      name: "db",
      state: { status: "created", ...ended, startedAt: "0001-01-01T00:00:00Z" },
      hostConfig,
      config: { ...config, Labels: { app: "db" }, Image: "other" },
      imageId: "sha256:ff" as never,
    }),
    fakeRecord({ id: id("a1"), name: "web-1" }),
  );
};
const namesOf = async (query: string): Promise<string> => {
  const { status, json } = await call(`GET /containers/json?${query}`);
  return status === 200
    ? json.map((item: { Names: string[] }) => item.Names[0]?.slice(1)).join(" ")
    : json.message;
};
const filter = (filters: object, more = ""): Promise<string> =>
  namesOf(`filters=${encodeURIComponent(JSON.stringify(filters))}${more}`);

test("list: all, limit, filters", async () => {
  many();
  expect(await namesOf("")).toBe("web-2 web-1");
  expect(await namesOf("all=1")).toBe("newest web-2 db web-1");
  expect(await namesOf("limit=3")).toBe("newest web-2 db");
  expect(await namesOf("limit=x")).toContain('invalid value "x"');
  const all = "&all=1";
  expect(await filter({}, all)).toBe("newest web-2 db web-1");
  expect(await filter({ name: ["web"] }, all)).toBe("web-2 web-1");
  expect(await filter({ name: ["^/web-1$"] }, all)).toBe("web-1");
  expect(await filter({ name: ["^web-1$"] }, all)).toBe("web-1");
  expect(await filter({ name: ["("] }, all)).toBe("");
  expect(await filter({ name: ["db", "newest"] }, all)).toBe("newest db");
  expect(await filter({ id: ["d4"] }, all)).toBe("newest");
  expect(await filter({ label: ["app=web"] }, all)).toBe("web-2 web-1");
  expect(await filter({ label: ["app"] }, all)).toBe("web-2 db web-1");
  expect(await filter({ label: ["app", "tier=1"] }, all)).toBe("web-2 web-1");
  expect(await filter({ label: { "app=db": true } }, all)).toBe("db");
  expect(await filter({ status: ["exited", "created"] })).toBe("newest db");
  expect(await filter({ exited: ["3"] }, all)).toBe("newest");
  expect(await filter({ health: ["healthy"] }, all)).toBe("web-2");
  expect(await filter({ health: ["none"] }, all)).toBe("newest db web-1");
  expect(await filter({ before: ["web-2"] }, all)).toBe("db web-1");
  expect(await filter({ since: ["db"] }, all)).toBe("newest web-2");
  expect(await filter({ since: ["web-1"], before: ["newest"] }, all)).toBe("web-2 db");
  expect(await filter({ volume: ["data"] }, all)).toBe("web-2 db web-1");
  expect(await filter({ volume: ["/data"] })).toBe("web-2 web-1");
  expect(await filter({ network: ["bridge"] })).toBe("web-2 web-1");
  expect(await filter({ network: ["n1bbb"] })).toBe("web-2 web-1");
  expect(await filter({ network: ["host"] })).toBe("");
  expect(await filter({ publish: ["8080"] })).toBe("web-2 web-1");
  expect(await filter({ publish: ["8000-9000/tcp"] })).toBe("web-2 web-1");
  expect(await filter({ publish: ["8080/udp"] })).toBe("");
  expect(await filter({ expose: ["53/udp"] })).toBe("web-2 web-1");
  expect(await filter({ ancestor: ["naru/hello"] }, all)).toBe("newest web-2 web-1");
  expect(await filter({ ancestor: ["nope"] }, all)).toBe("");
  expect(await filter({ "is-task": ["true"] }, all)).toBe("");
  expect(await filter({ "is-task": ["false"] })).toBe("web-2 web-1");
  expect(await filter({ isolation: ["default"] })).toBe("web-2 web-1");
});

test("list: wrong filters", async () => {
  expect(await filter({ color: ["x"] })).toBe("invalid filter 'color'");
  expect(await filter({ status: ["up"] })).toBe(
    "invalid filter 'status=up': invalid value for state (up): must be one of created, running, paused, restarting, removing, exited, dead",
  );
  expect(await filter({ health: ["ill"] })).toBe(
    "invalid filter 'health=ill': invalid value for health (ill): must be one of none, starting, healthy, unhealthy",
  );
  expect(await filter({ exited: ["x"] })).toContain("invalid filter 'exited=x'");
  expect(await filter({ before: ["nope"] })).toBe("No such container: nope");
  expect(await filter({ publish: ["0.0.0.0:80"] })).toBe(
    "filter for 'publish' should not contain ':': 0.0.0.0:80",
  );
  expect(await filter({ expose: ["99999"] })).toContain("error while looking up for expose 99999");
  expect(await namesOf("filters=x")).toContain("invalid filters");
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
    GraphDriver: { Data: null, Name: "overlayfs" },
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
  expect(await create("name=a", {})).toBe(
    "400 Invalid container name (a), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
  );
  expect(await create("name=-ab", {})).toStartWith("400 Invalid container name (-ab)");
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
  expect((await call("DELETE /containers/web?link=1")).status).toBe(501);
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
