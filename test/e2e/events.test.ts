/** `events`: actions, filters, times, attributes. */
import { expect } from "bun:test";

import { api, BUSYBOX, check, docker, dockerOk, field, until } from "../harness/check.ts";
import { dockerBackground } from "../harness/client.ts";

const now = (offset = 0): string => String(Math.floor(Date.now() / 1000) + offset);

/** Of the container, image or volume so filtered, once all `wanted` are there. */
const having = (since: string, filter: string, wanted: readonly string[]): Promise<string[]> =>
  until(`events ${wanted.join(", ")}`, async () => {
    const seen = await actions(since, filter);
    return wanted.every((action) => seen.includes(action)) && seen;
  });

const actions = async (since: string, ...filters: string[]): Promise<string[]> => {
  const args = filters.flatMap((filter) => ["--filter", filter]);
  const out = await dockerOk(
    "events",
    "--since",
    since,
    "--until",
    now(1),
    ...args,
    "--format",
    "{{.Action}}",
  );
  return out.split("\n").filter((line) => line !== "");
};

check("the life of a container: create, attach, start, die, destroy", async (t) => {
  const since = now(-1);
  const name = t.name();
  await dockerOk("run", "--rm", "--name", name, BUSYBOX, "true");
  const seen = await actions(since, `container=${name}`);
  expect(seen).toEqual(["create", "attach", "start", "die", "destroy"]);
});

check("kill, stop, pause, unpause, restart, rename", async (t) => {
  const since = now(-1);
  const name = await t.idle();
  const id = await field(name, "{{.Id}}");
  await dockerOk("pause", name);
  await dockerOk("unpause", name);
  await dockerOk("restart", "-t", "0", name);
  await dockerOk("stop", "-t", "0", name);
  const other = t.name();
  t.defer(() => docker(["rm", "-f", other]));
  await dockerOk("rename", name, other);
  await having(since, `container=${id}`, [
    "create",
    "start",
    "pause",
    "unpause",
    "kill",
    "die",
    "restart",
    "stop",
    "rename",
  ]);
});

check("exec_create, exec_start, exec_die", async (t) => {
  const since = now(-1);
  const name = await t.idle();
  await docker(["exec", name, "sh", "-c", "exit 4"]);
  await having(since, `container=${name}`, [
    "exec_create: sh -c exit 4",
    "exec_start: sh -c exit 4",
    "exec_die",
  ]);
});

check("resize, top, export, copy, commit, update have events", async (t) => {
  const since = now(-1);
  const name = await t.idle();
  await dockerOk("top", name);
  await docker(["export", name]);
  await docker(["cp", `${name}:/etc/marker`, "-"]);
  const image = `${t.name()}:1`;
  t.defer(() => docker(["rmi", image]));
  await dockerOk("commit", name, image);
  await dockerOk("update", "--restart", "no", name);
  const wanted = ["top", "export", "archive-path", "commit", "update"];
  await having(since, `container=${name}`, wanted);
});

check("oom and exit code of die", async (t) => {
  const since = now(-1);
  const name = await t.up("-l", "k=v", BUSYBOX, "sh", "-c", "exit 6");
  await dockerOk("wait", name);
  const line = await dockerOk(
    "events",
    "--since",
    since,
    "--until",
    now(1),
    "--filter",
    `container=${name}`,
    "--filter",
    "event=die",
    "--format",
    "{{json .}}",
  );
  const event = JSON.parse(line) as {
    Type: string;
    Action: string;
    Actor: { ID: string; Attributes: Record<string, string> };
    scope: string;
    time: number;
    timeNano: number;
    status: string;
    from: string;
  };
  expect(event).toMatchObject({
    Type: "container",
    Action: "die",
    scope: "local",
    status: "die",
    from: BUSYBOX,
  });
  expect(event.Actor.Attributes).toMatchObject({ exitCode: "6", image: BUSYBOX, name, k: "v" });
  expect(event.Actor.ID).toBe(await field(name, "{{.Id}}"));
  expect(Math.floor(event.timeNano / 1e9)).toBe(event.time);
});

check("volume create, mount, unmount, destroy", async (t) => {
  const since = now(-1);
  const volume = t.name();
  await dockerOk("volume", "create", volume);
  await dockerOk("run", "--rm", "-v", `${volume}:/v`, BUSYBOX, "true");
  await dockerOk("volume", "rm", volume);
  expect([...new Set(await actions(since, `volume=${volume}`))]).toEqual([
    "create",
    "mount",
    "unmount",
    "destroy",
  ]);
});

check("network connect and disconnect", async (t) => {
  const since = now(-1);
  const id = await t.up(BUSYBOX, "true").then((n) => field(n, "{{.Id}}"));
  await dockerOk("wait", id);
  const lines = async (): Promise<string[]> => {
    const span = ["--since", since, "--until", now(1)];
    const format = "{{.Action}} {{.Actor.Attributes.container}}";
    const out = await dockerOk("events", ...span, "--filter", "type=network", "--format", format);
    return out.split("\n");
  };
  await until("both", async () => {
    const seen = await lines();
    return seen.includes(`connect ${id}`) && seen.includes(`disconnect ${id}`);
  });
});

check("image tag, untag, delete", async (t) => {
  const since = now(-1);
  const image = `${t.name()}:1`;
  const container = await t.create(BUSYBOX);
  await dockerOk("commit", container, image);
  const id = await dockerOk("image", "inspect", "--format", "{{.Id}}", image);
  await dockerOk("tag", image, `${image}2`);
  await dockerOk("rmi", `${image}2`, image);
  await having(since, `image=${id}`, ["tag", "untag", "delete"]);
});

check("filter by event, type, label, and several at once", async (t) => {
  const since = now(-1);
  const label = t.name();
  const name = await t.up("-l", `${label}=1`, BUSYBOX, "true");
  await dockerOk("wait", name);
  expect(await actions(since, `label=${label}`, "event=start")).toEqual(["start"]);
  expect(
    await actions(since, `label=${label}=1`, "type=container", "event=create", "event=die"),
  ).toEqual(["create", "die"]);
  expect(await actions(since, `label=${label}=2`)).toEqual([]);
});

check("following shows an event at once", async (t) => {
  const label = t.name();
  const client = dockerBackground(
    "events",
    "--filter",
    `label=${label}`,
    "--format",
    "{{.Action}}",
  );
  // The first ones may come before the client is there.
  await until("an event", async () => {
    await t.create("-l", label, BUSYBOX);
    await Bun.sleep(200);
    return client.text().includes("create");
  });
  client.child.kill();
});

check("--until ends the stream", async () => {
  const begin = performance.now();
  await dockerOk("events", "--since", now(), "--until", now(1));
  expect(performance.now() - begin).toBeLessThan(60_000);
});

check("the order of events of one container is the order of what happened", async (t) => {
  const since = now(-1);
  const label = t.name();
  for (let round = 0; round < 3; round += 1)
    await dockerOk("run", "--rm", "-l", label, BUSYBOX, "true");
  const seen = await actions(since, `label=${label}`);
  expect(seen).toEqual(
    Array.from({ length: 3 }, () => ["create", "attach", "start", "die", "destroy"]).flat(),
  );
});

check("API: a stream of JSON objects, one a line, with both forms of time", async (t) => {
  const since = now(-1);
  const label = t.name();
  await t.create("-l", label, BUSYBOX);
  const filters = encodeURIComponent(JSON.stringify({ label: [label] }));
  const reply = await until("the event", async () => {
    const answer = await api("GET", `/events?since=${since}&until=${now(1)}&filters=${filters}`);
    return answer.text.includes("create") && answer;
  });
  expect(String(reply.headers["content-type"])).toMatch(/^application\/json/);
  const [line] = reply.text.trim().split("\n");
  expect(JSON.parse(line ?? "")).toMatchObject({
    Type: "container",
    Action: "create",
    scope: "local",
  });
});

check("API: a wrong since or filter is an error", async () => {
  expect((await api("GET", "/events?since=nonsense&until=1")).status).toBeGreaterThanOrEqual(400);
  expect((await api("GET", "/events?until=1&filters=nonsense")).status).toBeGreaterThanOrEqual(400);
});

check("a filter that nobody knows changes nothing", async (t) => {
  const since = now(-1);
  const name = await t.create(BUSYBOX, "true");
  expect(await actions(since, `container=${name}`, "nothing=x")).toEqual(["create"]);
  expect((await api("GET", "/events?until=1&filters=abc")).status).toBe(400);
});
