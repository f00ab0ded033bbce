/** The wire itself: versions, headers, error bodies, hijacked streams, wait conditions. */
import { expect } from "bun:test";

import {
  api,
  BUSYBOX,
  check,
  docker,
  dockerOk,
  engine,
  field,
  inspect,
  naruOnly,
  stateOf,
} from "../harness/check.ts";
import { open } from "../harness/http.ts";

const message = (reply: { json<T>(): T }): string => reply.json<{ message: string }>().message;

/** Docker 20.10 answers 500 where a body or filter is no JSON. */
const BAD_BODY = engine.kind === "docker20" ? 500 : 400;

check("GET /_ping: OK and its headers", async () => {
  const reply = await api("GET", "/_ping");
  expect([reply.status, reply.text]).toEqual([200, "OK"]);
  expect(reply.headers["api-version"]).toBe(engine.apiVersion);
  expect(reply.headers["ostype"]).toBe("linux");
  expect(String(reply.headers["server"])).toMatch(/^Docker\/\S+ \(linux\)$/);
  expect(String(reply.headers["cache-control"])).toContain("no-cache");
  expect(String(reply.headers["content-type"])).toStartWith("text/plain");
  expect(Object.keys(reply.headers)).toContain("docker-experimental");
  if (engine.kind !== "docker20") expect(Object.keys(reply.headers)).toContain("builder-version");
});

check("HEAD /_ping: the same headers and no body", async () => {
  const reply = await api("HEAD", "/_ping");
  expect([reply.status, reply.body.length]).toEqual([200, 0]);
  expect(reply.headers["api-version"]).toBe(engine.apiVersion);
});

check("/_ping under a version too", async () => {
  expect((await api("GET", "/v1.30/_ping")).text).toBe("OK");
});

check("every answer has Server, Api-Version and Ostype", async () => {
  for (const path of ["/containers/json", "/v1.41/info", "/containers/e2e-unknown/json"]) {
    const { headers } = await api("GET", path);
    expect(headers["api-version"]).toBe(engine.apiVersion);
    expect(headers["ostype"]).toBe("linux");
    expect(String(headers["server"])).toStartWith("Docker/");
  }
});

check("a version too new is 400 and names the limit", async () => {
  const reply = await api("GET", "/v9.99/version");
  expect(reply.status).toBe(400);
  expect(message(reply)).toContain("too new");
  expect(message(reply)).toContain(engine.apiVersion);
});

check("a version too old is 400 and names the limit", async () => {
  const reply = await api("GET", "/v1.5/version");
  expect(reply.status).toBe(400);
  // Clients that old got plain text.
  expect(reply.text).toContain("too old");
});

check("versions 1.24 to the newest work, and without one", async () => {
  const newest = Number(engine.apiVersion.split(".")[1]);
  for (const minor of [24, 30, 35, 40, 41, newest]) {
    expect((await api("GET", `/v1.${minor}/containers/json`)).status).toBe(200);
  }
  expect((await api("GET", "/containers/json")).status).toBe(200);
});

check("errors are JSON with a message", async () => {
  const reply = await api("GET", "/containers/e2e-unknown/json");
  expect(reply.status).toBe(404);
  expect(String(reply.headers["content-type"])).toStartWith("application/json");
  expect(Object.keys(reply.json())).toEqual(["message"]);
  expect(message(reply)).toBe("No such container: e2e-unknown");
});

check("an unknown path is 404 with a message, a wrong method 404 or 405", async () => {
  expect(message(await api("GET", "/nothing/here"))).toBe("page not found");
  expect([404, 405]).toContain((await api("DELETE", "/version")).status);
});

check("create: 201, Id and Warnings", async (t) => {
  const name = t.name();
  t.defer(() => docker(["rm", "-f", name]));
  const reply = await api("POST", `/containers/create?name=${name}`, { body: { Image: BUSYBOX } });
  expect(reply.status).toBe(201);
  const body = reply.json<{ Id: string; Warnings: unknown }>();
  expect(body.Id).toMatch(/^[0-9a-f]{64}$/);
  expect(Array.isArray(body.Warnings) || body.Warnings === null).toBe(true);
  const again = await api("POST", `/containers/create?name=${name}`, { body: { Image: BUSYBOX } });
  expect(again.status).toBe(409);
});

check("create: 404 for an image that is not there, 400 for a body that is none", async () => {
  const missing = await api("POST", "/containers/create", { body: { Image: "e2e/missing:1" } });
  expect(missing.status).toBe(404);
  expect(message(missing)).toMatch(/No such image: e2e\/missing:1/);
  const raw = await api("POST", "/containers/create", {
    raw: Buffer.from("{broken"),
    headers: { "Content-Type": "application/json" },
  });
  expect(raw.status).toBe(BAD_BODY);
  expect((await api("POST", "/containers/create", { body: {} })).status).toBe(400);
});

check("create: a body of another content type is refused", async () => {
  const reply = await api("POST", "/containers/create", {
    raw: Buffer.from("x"),
    headers: { "Content-Type": "text/plain" },
  });
  expect([400, 415]).toContain(reply.status);
});

check("create: unknown fields are ignored", async (t) => {
  const name = t.name();
  t.defer(() => docker(["rm", "-f", name]));
  const reply = await api("POST", `/containers/create?name=${name}`, {
    body: { Image: BUSYBOX, NoSuchField: 1, HostConfig: { AnotherOne: true } },
  });
  expect(reply.status).toBe(201);
});

check("create: Cmd and Entrypoint as a string or a list", async (t) => {
  for (const Cmd of ["echo", ["echo", "x"]]) {
    const name = t.name();
    t.defer(() => docker(["rm", "-f", name]));
    expect(
      (await api("POST", `/containers/create?name=${name}`, { body: { Image: BUSYBOX, Cmd } }))
        .status,
    ).toBe(201);
    expect((await inspect<{ Path: string }>(name)).Path).toBe("echo");
  }
});

check("start: 204, then 304; stop: 204, then 304", async (t) => {
  const name = await t.create(BUSYBOX, "sleep", "600");
  expect((await api("POST", `/containers/${name}/start`)).status).toBe(204);
  expect((await api("POST", `/containers/${name}/start`)).status).toBe(304);
  expect((await api("POST", `/containers/${name}/stop?t=0`)).status).toBe(204);
  expect((await api("POST", `/containers/${name}/stop?t=0`)).status).toBe(304);
});

check("kill: 204, 409 when it does not run, 400 for a wrong signal", async (t) => {
  const name = await t.idle();
  expect((await api("POST", `/containers/${name}/kill?signal=NOSUCH`)).status).toBe(400);
  expect((await api("POST", `/containers/${name}/kill`)).status).toBe(204);
  await dockerOk("wait", name);
  expect((await api("POST", `/containers/${name}/kill`)).status).toBe(409);
});

check("delete: 409 while running, 204, then 404", async (t) => {
  const name = await t.idle();
  expect((await api("DELETE", `/containers/${name}`)).status).toBe(409);
  expect((await api("DELETE", `/containers/${name}?force=1`)).status).toBe(204);
  expect((await api("DELETE", `/containers/${name}`)).status).toBe(404);
});

check("pause: 204 and 409; rename: 204 and 409; exec on stopped: 409", async (t) => {
  const name = await t.idle();
  expect((await api("POST", `/containers/${name}/pause`)).status).toBe(204);
  expect((await api("POST", `/containers/${name}/pause`)).status).toBe(409);
  expect((await api("POST", `/containers/${name}/unpause`)).status).toBe(204);
  const other = await t.create(BUSYBOX);
  expect((await api("POST", `/containers/${name}/rename?name=${other}`)).status).toBe(409);
  expect((await api("POST", `/containers/${other}/exec`, { body: { Cmd: ["true"] } })).status).toBe(
    409,
  );
});

check("volume and image conflicts are 409", async (t) => {
  const volume = await t.volume();
  await t.create("-v", `${volume}:/v`, BUSYBOX);
  expect((await api("DELETE", `/volumes/${volume}`)).status).toBe(409);
  expect((await api("DELETE", "/volumes/e2e-unknown")).status).toBe(404);
  expect((await api("GET", "/networks/e2e-unknown")).status).toBe(404);
  expect((await api("GET", "/images/e2e-unknown/json")).status).toBe(404);
});

check("wait: not-running answers at once for one that never ran", async (t) => {
  const name = await t.create(BUSYBOX);
  const reply = await api("POST", `/containers/${name}/wait?condition=not-running`);
  expect(reply.json<{ StatusCode: number }>().StatusCode).toBe(0);
});

/** The head of the answer says that the engine waits; the body comes with the end. */
const waitFor = async (
  name: string,
  condition: string,
): Promise<{ code: () => Promise<number> }> => {
  const path = `/containers/${name}/wait?condition=${condition}`;
  const response = await open(engine.socketPath, "POST", path);
  return {
    code: async () => {
      let text = "";
      for await (const chunk of response) text += (chunk as Buffer).toString();
      return (JSON.parse(text) as { StatusCode: number }).StatusCode;
    },
  };
};

check("wait: next-exit waits for the next end", async (t) => {
  const name = await t.create(BUSYBOX, "sh", "-c", "sleep 0.5; exit 3");
  const waiting = await waitFor(name, "next-exit");
  await dockerOk("start", name);
  expect(await waiting.code()).toBe(3);
});

check("wait: removed ends when it is gone", async (t) => {
  const name = await t.create("--rm", BUSYBOX, "sh", "-c", "exit 4");
  const waiting = await waitFor(name, "removed");
  await dockerOk("start", name);
  expect(await waiting.code()).toBe(4);
  expect((await api("GET", `/containers/${name}/json`)).status).toBe(404);
});

check("wait: an unknown condition is 400, an unknown container 404", async (t) => {
  const name = await t.create(BUSYBOX);
  expect((await api("POST", `/containers/${name}/wait?condition=nonsense`)).status).toBe(
    engine.kind === "docker20" ? 200 : 400,
  );
  expect((await api("POST", "/containers/e2e-unknown/wait")).status).toBe(404);
});

check("wait: the head of the answer comes before the end", async (t) => {
  const name = await t.idle();
  const response = await open(engine.socketPath, "POST", `/containers/${name}/wait`);
  expect(response.statusCode).toBe(200);
  expect((await stateOf(name)).Running).toBe(true);
  await dockerOk("kill", name);
  let text = "";
  for await (const chunk of response) text += (chunk as Buffer).toString();
  expect(JSON.parse(text)).toMatchObject({ StatusCode: 137 });
});

check("a keep-alive connection carries many requests", async () => {
  const replies = await Promise.all(
    Array.from({ length: 50 }, () => fetch("http://localhost/_ping", { unix: engine.socketPath })),
  );
  expect(replies.every((reply) => reply.status === 200)).toBe(true);
});

check("filters as a map of lists and as the old map of maps", async (t) => {
  const name = await t.create(BUSYBOX);
  for (const filters of [{ name: [name] }, { name: { [name]: true } }]) {
    const reply = await api(
      "GET",
      `/containers/json?all=1&filters=${encodeURIComponent(JSON.stringify(filters))}`,
    );
    expect(reply.json<unknown[]>().length).toBe(1);
  }
  expect((await api("GET", "/containers/json?filters=%7Bbroken")).status).toBe(BAD_BODY);
});

check("POST /auth with nothing to reach is an error", async () => {
  const reply = await api("POST", "/auth", {
    body: { username: "a", password: "b", serveraddress: "127.0.0.1:9" },
  });
  expect(reply.status).toBeGreaterThanOrEqual(400);
});

check("the id of this container in a 404 is what was asked for", async () => {
  expect(message(await api("POST", "/containers/asked-for/start"))).toContain("asked-for");
});

check(
  "errors of naru name the remedy or the reason",
  async (t) => {
    const name = await t.idle();
    const text = message(await api("DELETE", `/containers/${name}`));
    expect(text).toContain("force");
    expect(await field(name, "{{.State.Running}}")).toBe("true");
  },
  { skip: naruOnly("the wording is its own") },
);
