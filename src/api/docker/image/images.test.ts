import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";

import { barText } from "#api/docker/image/progress.ts";
import { serve, type TestServer } from "#api/docker/server.fake.ts";

let server: TestServer;
const call: TestServer["call"] = (...parts) => server.call(...parts);
beforeAll(async () => {
  server = await serve();
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(() => void (server.backend.calls.length = 0));

const ID = `sha256:1a${"0".repeat(62)}`;
const lines = (text: string): unknown[] =>
  text
    .split("\r\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));

test("list by version", async () => {
  const list = async (minor: number) => (await call(`GET /v1.${minor}/images/json`)).json[0];
  expect(await list(51)).toMatchObject({ Id: ID, Size: 100, Containers: 2 });
  expect("VirtualSize" in (await list(44))).toBe(false);
  expect(await list(43)).toMatchObject({ VirtualSize: 100, Containers: -1 });
  await call("GET /v1.24/images/json?filter=naru/*&all=1");
  expect(server.backend.calls.at(-1)).toBe('images [["reference",["naru/*"]]] true');
  expect((await call(`GET /images/json?filters=${encodeURIComponent('{"x":["y"]}')}`)).status).toBe(
    400,
  );
});

test("inspect, history, tag, remove, prune", async () => {
  expect((await call("GET /images/naru/hello:latest/json")).json.Id).toBe(ID);
  expect((await call("GET /v1.43/images/naru/hello/json")).json).toMatchObject({
    VirtualSize: 100,
    ContainerConfig: { Tty: false, Entrypoint: null },
  });
  const missing = await call("GET /images/a/b:c/json");
  expect([missing.status, missing.json]).toEqual([404, { message: "No such image: a/b:c" }]);
  expect((await call("GET /images/naru/hello/history")).json).toEqual([]);
  expect((await call("POST /images/naru/hello/tag?repo=x&tag=1")).status).toBe(201);
  expect(server.backend.calls.at(-1)).toBe("tag naru/hello x:1");
  expect((await call("POST /images/naru/hello/tag?repo=r.io:5/x:1&tag=2")).status).toBe(201);
  expect(server.backend.calls.at(-1)).toBe("tag naru/hello r.io:5/x:2");
  expect((await call("POST /images/naru/hello/tag")).status).toBe(400);
  expect((await call("DELETE /images/naru/hello?force=1&noprune=1")).json).toEqual([
    { Untagged: "naru/hello" },
  ]);
  expect(server.backend.calls.at(-1)).toBe('rmi naru/hello {"isForced":true,"isParentKept":true}');
  expect((await call("POST /images/prune")).json).toEqual({
    ImagesDeleted: null,
    SpaceReclaimed: 0,
  });
  const platform = encodeURIComponent("{}");
  expect((await call(`GET /images/naru/hello/json?platform=${platform}`)).json.message).toBe(
    "both OS and Architecture must be provided",
  );
});

test("load: lines, quiet or not, errors in the stream", async () => {
  const quiet = await call("POST /images/load", "12345");
  expect(lines(quiet.text)).toEqual([{ stream: "Loaded image: naru/hello:latest\n" }]);
  const loud = await call("POST /images/load?quiet=0", "12345");
  expect(lines(loud.text)[0]).toMatchObject({
    status: "Loading layer",
    id: "abc",
    progressDetail: { current: 5, total: 10 },
  });
  expect(server.backend.calls).toEqual(["load 5", "load 5"]);
  const { NaruError } = await import("#lib/errors.ts");
  server.backend.failure = new NaruError("invalid_argument", "not a tar");
  const failed = await call("POST /images/load", "x");
  expect([failed.status, lines(failed.text)]).toEqual([
    200,
    [{ errorDetail: { message: "not a tar" }, error: "not a tar" }],
  ]);
});

test("save one and many", async () => {
  const one = await call("GET /images/naru/hello/get");
  expect([one.text, one.headers.get("content-type")]).toEqual(["image tar", "application/x-tar"]);
  await call(`GET /images/get?names=naru/hello&names=${ID}`);
  expect(server.backend.calls).toEqual([
    "save naru/hello",
    "save disposed",
    `save naru/hello ${ID}`,
    "save disposed",
  ]);
  expect((await call("GET /images/get")).status).toBe(400);
  expect((await call("GET /images/nope/get")).status).toBe(404);
});

test("import, pull and bootstrap", async () => {
  const made = await call(
    "POST /images/create?fromSrc=-&repo=r&tag=t&message=m&changes=CMD%20x",
    "tar!",
  );
  expect(lines(made.text)).toEqual([{ status: `sha256:ab${"0".repeat(62)}` }]);
  expect(server.backend.calls).toEqual([
    'import 4 {"reference":"r:t","message":"m","changes":["CMD x"]}',
  ]);
  const fetched = await call("POST /images/create?fromSrc=http://me:secret@x/y.tar&repo=r");
  expect(lines(fetched.text)).toEqual([
    { status: "Downloading from http://me:xxxxx@x/y.tar" },
    { status: `sha256:ab${"0".repeat(62)}` },
  ]);
  expect(server.backend.calls.slice(1)).toEqual([
    "fetchRoot http://me:secret@x/y.tar",
    // The history goes wherever the image is pushed to: no password in it.
    'import 8 {"reference":"r","message":"Imported from http://me:xxxxx@x/y.tar","changes":[]}',
  ]);
  expect((await call("POST /images/create?fromSrc=http://nobody/y.tar")).status).toBe(404);
  const hello = await call("POST /images/create?fromImage=naru/hello&tag=latest");
  expect([hello.status, lines(hello.text).length]).toEqual([200, 2]);
  expect((await call("POST /images/create?fromImage=a/UPPER")).status).toBe(400);
  const boot = await call("POST /naru/images/bootstrap?ref=debian:bookworm&mirror=http://m");
  expect(lines(boot.text)).toEqual([
    expect.objectContaining({ id: "base", progress: expect.stringContaining("=>") }),
    { errorDetail: { message: "mirror is down" }, error: "mirror is down" },
  ]);
  expect(server.backend.calls.at(-1)).toBe("bootstrap debian:bookworm http://m");
});

test("pull: Docker's lines, credentials, tags and digests", async () => {
  const auth = Buffer.from('{"username":"u","password":"p"}').toString("base64url");
  const pull = (query: string) =>
    server.call(`POST /images/create?${query}`, undefined, { "X-Registry-Auth": auth });
  const made = await pull("fromImage=debian&tag=bookworm&platform=linux/arm64");
  expect(server.backend.calls).toEqual([
    'pull debian:bookworm {"credentials":{"username":"u","password":"p"},"isAllTags":false,"platform":{"os":"linux","architecture":"arm64"}}',
  ]);
  // Counts that nobody took are replaced by newer ones.
  expect(lines(made.text)).toEqual([
    { status: "Pulling from library/debian", id: "bookworm" },
    expect.objectContaining({ status: "Downloading", progressDetail: { current: 2, total: 2 } }),
    { status: "Pull complete", progressDetail: {}, id: "abc" },
  ]);
  const digest = `sha256:${"0".repeat(64)}`;
  await pull(`fromImage=a/b&tag=${digest}`);
  await pull("fromImage=a/b");
  expect(server.backend.calls.slice(1).map((line) => line.split(" {")[0])).toEqual([
    `pull a/b@${digest}`,
    "pull a/b",
  ]);
  // The parameter counts before what the name has, as in Docker.
  await pull("fromImage=a/b:1&tag=2");
  await pull(`fromImage=a/b:1@${digest}&tag=2`);
  await pull(`fromImage=a/b:1&tag=${digest}`);
  expect(server.backend.calls.slice(3).map((line) => line.split(" {")[0])).toEqual([
    "pull a/b:2",
    `pull a/b:2@${digest}`,
    `pull a/b@${digest}`,
  ]);
  const failed = await pull("fromImage=nobody&tag=1");
  expect([failed.status, failed.json.message]).toEqual([500, "connection refused"]);
  expect((await pull("fromImage=scratch&tag=latest")).status).toBe(403);
});

test("push: lines and facts", async () => {
  const pushed = await call("POST /images/naru/hello/push?tag=1");
  expect(lines(pushed.text)).toEqual([
    { status: "Pushed", progressDetail: {}, id: "abc" },
    { progressDetail: {}, aux: { Tag: "1" } },
  ]);
  await call("POST /images/naru/hello/push");
  await call("POST /images/naru/hello:1/push?tag=2");
  expect(server.backend.calls).toEqual([
    'push naru/hello:1 {"isAllTags":false}',
    'push naru/hello {"isAllTags":true}',
    'push naru/hello:2 {"isAllTags":false}',
  ]);
  const wrong = await server.call("POST /images/a/push?tag=1", undefined, {
    "X-Registry-Auth": "!",
  });
  // As with dockerd: who sends no credentials that can be read goes without.
  expect(wrong.status).toBe(200);
});

test("export and publish: archives from and to registries", async () => {
  const exported = await call("GET /naru/images/export?source=a:1&referrers=1");
  expect([exported.status, exported.text]).toEqual([200, "archive"]);
  const published = await call("POST /naru/images/publish?target=r.io/b:2", { a: "tar" });
  expect(published.text).toContain('{"status":"Digest: x"}');
  expect(server.backend.calls).toEqual([
    'export a:1 {"hasReferrers":true,"credentials":{}}',
    "exported a:1 ",
    'publish r.io/b:2 {"a":"tar"} {}',
  ]);
});

test("copy: both registries' credentials", async () => {
  const auth = Buffer.from('{"username":"t"}').toString("base64url");
  const path = "POST /naru/images/copy?source=a:1&target=r.io/b:2";
  const copied = await server.call(path, undefined, { "X-Registry-Auth-Target": auth });
  expect(lines(copied.text)).toEqual([{ status: "Copied", progressDetail: {}, id: "abc" }]);
  expect(server.backend.calls).toEqual(['copy a:1 r.io/b:2 {"username":"t"}']);
});

test("manifests: as they are, and lists", async () => {
  const got = await call("GET /naru/manifests/a/b:1");
  expect(got.json).toMatchObject({ MediaType: "m", Size: 7, Text: '{"name":"a/b:1"}' });
  const entry = {
    Ref: "a/b:1",
    Digest: `sha256:${"0".repeat(64)}`,
    Platform: { os: "linux", architecture: "arm64" },
  };
  await call("POST /naru/manifests?target=a/list:1", { Entries: [entry] });
  expect(server.backend.calls).toEqual([
    `index a/list:1 [{"reference":"a/b:1","digest":"${entry.Digest}","platform":{"os":"linux","architecture":"arm64"}}]`,
  ]);
  const insecure = await call("GET /naru/manifests/a/b:1?insecure=1");
  expect(insecure.json.Text).toBe('{"name":"a/b:1","isInsecure":true}');
  const windows = { os: "windows", architecture: "amd64", osFeatures: ["win32k"] };
  await call("POST /naru/manifests?target=a/list:1&insecure=1", {
    Entries: [{ ...entry, Platform: windows }],
  });
  expect(server.backend.calls.at(-1)).toStartWith("insecure index a/list:1 ");
  expect(server.backend.calls.at(-1)).toContain('"osFeatures":["win32k"]');
  const wrong = await call("POST /naru/manifests?target=a", {
    Entries: [{ ...entry, Digest: "x" }],
  });
  expect([wrong.status, wrong.json.message]).toEqual([
    400,
    expect.stringContaining("Entries[0].Digest"),
  ]);
});

test("login, search, distribution", async () => {
  const login = await call("POST /auth", { username: "u", password: "p", serveraddress: "r:1" });
  expect(login.json).toEqual({ IdentityToken: "token of u", Status: "Login Succeeded" });
  const filters = encodeURIComponent('{"stars":["2"]}');
  expect((await call(`GET /images/search?term=web&filters=${filters}`)).json).toEqual([
    expect.objectContaining({ name: "web", star_count: 3 }),
  ]);
  expect((await call("GET /images/search?term=web&limit=1000")).status).toBe(400);
  expect((await call("GET /distribution/a/b:1/json")).json.Descriptor.size).toBe(7);
});

test("bars", () => {
  expect(barText(50, 100)).toBe(`[${"=".repeat(25)}>${" ".repeat(25)}]      50B/100B`);
  expect(barText(1_500_000, 1_500_000)).toBe(`[${"=".repeat(50)}>]    1.5MB/1.5MB`);
});

test("networks and volumes", async () => {
  const names = async (filters: object) =>
    (await call(`GET /networks?filters=${encodeURIComponent(JSON.stringify(filters))}`)).json;
  expect((await names({})).map((n: { Name: string }) => n.Name)).toEqual([
    "bridge",
    "host",
    "none",
  ]);
  expect(await names({ name: ["^br"] })).toHaveLength(1);
  expect(await names({ driver: ["null"] })).toHaveLength(1);
  expect(await names({ type: ["custom"] })).toHaveLength(0);
  expect(await names({ dangling: ["true"] })).toHaveLength(0);
  expect((await names({ type: ["x"] })).message).toBe("invalid filter: 'type'='x'");
  expect((await call("GET /networks/bridge")).json.IPAM.Config[0].Gateway).toBe("172.17.0.1");
  expect((await call("GET /networks/nope")).json.message).toBe("network nope not found");
  expect((await call("DELETE /networks/own")).status).toBe(204);
  expect((await call("POST /networks/prune")).json).toEqual({ NetworksDeleted: ["old"] });
  const made = await call("POST /networks/create", {
    Name: "own",
    IPAM: { Config: [{ Subnet: "10.1.0.0/16" }] },
  });
  expect([made.status, made.json.Id.slice(0, 3)]).toEqual([201, "n4b"]);
  const wrong = await call("POST /networks/create", {
    Name: "own",
    IPAM: { Config: [{ Subnet: 1 }] },
  });
  expect(wrong.json.message).toBe('invalid JSON: "IPAM.Config[0].Subnet" is not a string');
  expect((await call("POST /networks/own/connect", { Container: "web" })).status).toBe(200);
  expect((await call("POST /networks/own/disconnect", {})).status).toBe(400);
  const { status } = await call("POST /volumes/create", {
    Name: "data",
    Labels: { a: "b" },
    DriverOpts: null,
  });
  expect([status, server.backend.calls.at(-1)]).toEqual([
    201,
    'volume create {"Name":"data","Labels":{"a":"b"}}',
  ]);
  expect((await call("GET /volumes")).json).toMatchObject({
    Volumes: [{ Name: "data" }],
    Warnings: null,
  });
  const dangling = encodeURIComponent('{"dangling":["true"]}');
  expect((await call(`GET /volumes?filters=${dangling}`)).json.Volumes).toEqual([]);
  expect((await call("GET /volumes/nope")).json.message).toBe("get nope: no such volume");
  expect((await call("DELETE /volumes/data?force=1")).status).toBe(204);
  await call("POST /v1.41/volumes/prune");
  expect(server.backend.calls.at(-1)).toBe('volume prune [["all",["true"]]]');
});
