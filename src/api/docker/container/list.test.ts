import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";

import { fakeRecord } from "#api/docker/record.fake.ts";
import {
  ageText,
  statusLifetimeMs,
  statusTemplate,
  statusText,
} from "#api/docker/container/status-text.ts";
import { serve, type TestServer } from "#api/docker/server.fake.ts";
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

test("a status text lasts as long as it says", () => {
  const since = Date.parse("2026-01-01T00:00:00Z");
  const template = { prefix: "Up ", sinceMs: since, suffix: "" };
  for (let age = 0; age < 400 * 24 * 3600_000; age = Math.trunc(age * 1.01) + 371) {
    const lifetime = statusLifetimeMs(template, since + age);
    const text = statusText(template, since + age);
    expect(statusText(template, since + age + lifetime - 1)).toBe(text);
  }
  expect(statusLifetimeMs({ prefix: "Dead", suffix: "" }, since)).toBe(Infinity);
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

test("list: the same bytes until something changes", async () => {
  const first = await call("GET /containers/json");
  expect((await call("GET /containers/json")).text).toBe(first.text);
  const { backend } = server;
  backend.records[0] = fakeRecord({ name: "renamed" });
  expect((await call("GET /containers/json")).json[0].Names).toEqual(["/renamed"]);
  expect((await call("GET /v1.45/containers/json")).json[0].HostConfig).toEqual({
    NetworkMode: "bridge",
  });
  backend.records.length = 0;
  expect((await call("GET /containers/json")).text).toBe("[]\n");
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
