/** `ps` with every filter and format. */
import { expect } from "bun:test";

import {
  api,
  BUSYBOX,
  FULL,
  check,
  docker,
  dockerOk,
  field,
  inspect,
  skipOn,
  until,
} from "../harness/check.ts";

/** Names of the containers `ps` gives with these filters, limited to those with `label`. */
const ps = async (label: string, ...args: string[]): Promise<string[]> =>
  (await dockerOk("ps", "--filter", `label=${label}`, "--format", "{{.Names}}", ...args))
    .split("\n")
    .filter((line) => line !== "")
    .sort();

check("ps shows running ones, ps -a all", async (t) => {
  const label = t.name();
  const up = await t.idle("-l", label);
  const made = await t.create("-l", label, BUSYBOX, "true");
  expect(await ps(label)).toEqual([up]);
  expect(await ps(label, "-a")).toEqual([made, up].sort());
});

check("the columns of the table", async (t) => {
  const name = await t.idle();
  const [head, row] = (await dockerOk("ps", "--filter", `name=${name}`)).split("\n");
  expect(head).toMatch(/^CONTAINER ID\s+IMAGE\s+COMMAND\s+CREATED\s+STATUS\s+PORTS\s+NAMES$/);
  expect(row).toMatch(
    new RegExp(`^[0-9a-f]{12}\\s+${BUSYBOX}\\s+"sleep 600"\\s+.* ago\\s+Up .*\\s+${name}$`),
  );
});

check("-q, --no-trunc, -l, -n", async (t) => {
  const name = await t.idle();
  const id = await field(name, "{{.Id}}");
  expect(await dockerOk("ps", "-q", "--filter", `name=${name}`)).toBe(id.slice(0, 12));
  expect(await dockerOk("ps", "-q", "--no-trunc", "--filter", `name=${name}`)).toBe(id);
  expect((await dockerOk("ps", "-q", "-n", "2")).split("\n").length).toBeLessThanOrEqual(2);
  expect((await dockerOk("ps", "-lq")).split("\n").length).toBe(1);
});

check("--filter status: created, running, paused, exited", async (t) => {
  const label = t.name();
  const created = await t.create("-l", label, BUSYBOX, "true");
  const running = await t.idle("-l", label);
  const paused = await t.idle("-l", label);
  await dockerOk("pause", paused);
  const exited = await t.up("-l", label, BUSYBOX, "true");
  await dockerOk("wait", exited);
  expect(await ps(label, "-a", "--filter", "status=created")).toEqual([created]);
  expect(await ps(label, "--filter", "status=running")).toEqual([running]);
  expect(await ps(label, "--filter", "status=paused")).toEqual([paused]);
  expect(await ps(label, "--filter", "status=exited")).toEqual([exited]);
  expect(await ps(label, "--filter", "status=exited", "--filter", "status=created")).toEqual(
    [created, exited].sort(),
  );
  await dockerOk("unpause", paused);
});

check("--filter status with a wrong word is refused", async () => {
  const out = await docker(["ps", "--filter", "status=nonsense"]);
  expect(out.code).toBe(1);
  expect(out.stderr).toMatch(/invalid filter/i);
});

check("--filter exited=CODE", async (t) => {
  const label = t.name();
  const three = await t.up("-l", label, BUSYBOX, "sh", "-c", "exit 3");
  const zero = await t.up("-l", label, BUSYBOX, "true");
  await dockerOk("wait", three, zero);
  expect(await ps(label, "-a", "--filter", "exited=3")).toEqual([three]);
  expect(await ps(label, "-a", "--filter", "exited=0")).toEqual([zero]);
});

check("--filter name is a pattern, also anchored", async (t) => {
  const name = await t.idle();
  const label = (await field(name, "{{.Name}}")).slice(1);
  const byName = (pattern: string): Promise<string> =>
    dockerOk("ps", "--filter", `name=${pattern}`, "--format", "{{.Names}}");
  expect(await byName(`^/${label}$`)).toBe(name);
  expect(await byName(`^${label}$`)).toBe(name);
  expect(await byName(label.slice(2))).toBe(name);
  expect(await byName(`${label}x`)).toBe("");
});

check("--filter id", async (t) => {
  const name = await t.idle();
  const id = await field(name, "{{.Id}}");
  expect(await dockerOk("ps", "-q", "--no-trunc", "--filter", `id=${id.slice(0, 10)}`)).toBe(id);
});

check("--filter label with key and with value", async (t) => {
  const label = t.name();
  const one = await t.idle("-l", `${label}=1`);
  const two = await t.idle("-l", `${label}=2`);
  expect(await ps(label)).toEqual([one, two].sort());
  expect(await ps(`${label}=2`)).toEqual([two]);
});

check("--filter ancestor by name, id and parent image", async (t) => {
  const label = t.name();
  const [plain, full] = [await t.create("-l", label, BUSYBOX), await t.create("-l", label, FULL)];
  const id = await dockerOk("image", "inspect", "--format", "{{.Id}}", BUSYBOX);
  expect(await ps(label, "-a", "--filter", `ancestor=${FULL}`)).toEqual([full]);
  expect(await ps(label, "-a", "--filter", "ancestor=e2e/full")).toEqual([full]);
  expect(await ps(label, "-a", "--filter", `ancestor=${id}`)).toContain(plain);
});

check("--filter before and since", async (t) => {
  const label = t.name();
  const one = await t.create("-l", label, BUSYBOX);
  const two = await t.create("-l", label, BUSYBOX);
  const three = await t.create("-l", label, BUSYBOX);
  expect(await ps(label, "-a", "--filter", `before=${two}`)).toEqual([one]);
  expect(await ps(label, "-a", "--filter", `since=${two}`)).toEqual([three]);
});

check("--filter volume by name and by target", async (t) => {
  const label = t.name();
  const volume = await t.volume();
  const withIt = await t.create("-l", label, "-v", `${volume}:/here`, BUSYBOX);
  await t.create("-l", label, BUSYBOX);
  expect(await ps(label, "-a", "--filter", `volume=${volume}`)).toEqual([withIt]);
  expect(await ps(label, "-a", "--filter", "volume=/here")).toEqual([withIt]);
});

check("--filter network", async (t) => {
  const label = t.name();
  const bridged = await t.idle("-l", label);
  const alone = await t.idle("-l", label, "--network", "none");
  expect(await ps(label, "--filter", "network=none")).toEqual([alone]);
  expect(await ps(label, "--filter", "network=bridge")).toEqual([bridged]);
});

check("--filter publish and expose", async (t) => {
  const label = t.name();
  const p = 10_000 + (process.pid % 9_000);
  const published = await t.idle("-l", label, "-p", `${p}:80`);
  const exposed = await t.idle("-l", label, "--expose", "81");
  expect(await ps(label, "--filter", `publish=${p}`)).toEqual([published]);
  expect(await ps(label, "--filter", "expose=81/tcp")).toEqual([exposed]);
});

check("--filter health", async (t) => {
  const label = t.name();
  const healthy = await t.idle("-l", label, "--health-cmd", "true", "--health-interval", "200ms");
  const plain = await t.idle("-l", label);
  await until("healthy", async () => (await ps(label, "--filter", "health=healthy")).length === 1);
  expect(await ps(label, "--filter", "health=healthy")).toEqual([healthy]);
  expect(await ps(label, "--filter", "health=none")).toEqual([plain]);
});

check("an unknown filter is refused", async () => {
  const out = await docker(["ps", "--filter", "nonsense=1"]);
  expect(out.code).toBe(1);
  expect(out.stderr).toMatch(/invalid filter/i);
});

check("--format with every placeholder", async (t) => {
  const name = await t.idle("-l", "k=v", "-v", "/anonymous");
  const format =
    '{{.ID}}|{{.Image}}|{{.Command}}|{{.RunningFor}}|{{.State}}|{{.Labels}}|{{.Names}}|{{.Networks}}|{{.LocalVolumes}}|{{.Label "k"}}';
  const out = (await dockerOk("ps", "--filter", `name=${name}`, "--format", format)).split("|");
  expect(out[1]).toBe(BUSYBOX);
  expect(out[2]).toBe('"sleep 600"');
  expect(out.slice(4)).toEqual(["running", "k=v", name, "bridge", "1", "v"]);
});

check("--format json and table", async (t) => {
  const name = await t.idle();
  const json = JSON.parse(
    await dockerOk("ps", "--filter", `name=${name}`, "--format", "{{json .}}"),
  ) as Record<string, string>;
  expect([json["Names"], json["State"], json["Image"]]).toEqual([name, "running", BUSYBOX]);
  const table = await dockerOk(
    "ps",
    "--filter",
    `name=${name}`,
    "--format",
    "table {{.Names}}\t{{.State}}",
  );
  expect(table).toMatch(/^NAMES\s+STATE\n/);
});

check("the status words", async (t) => {
  const status = (name: string): Promise<string> =>
    dockerOk("ps", "-a", "--filter", `name=${name}`, "--format", "{{.Status}}");
  const made = await t.create(BUSYBOX, "true");
  expect(await status(made)).toBe("Created");
  expect(await status(await t.idle())).toMatch(/^Up (Less than a second|\d+ seconds?|1 second)$/);
  const exited = await t.up(BUSYBOX, "sh", "-c", "exit 3");
  await dockerOk("wait", exited);
  expect(await status(exited)).toMatch(
    /^Exited \(3\) (Less than a second|\d+ seconds?|1 second) ago$/,
  );
});

check("-s gives the sizes", async (t) => {
  const name = await t.up(
    BUSYBOX,
    "sh",
    "-c",
    "dd if=/dev/zero of=/big bs=1M count=3 2>/dev/null; sleep 600",
  );
  await until("the whole file", async () =>
    /^3\.\d+MB \(virtual \d+(\.\d+)?MB\)$/.test(
      await dockerOk("ps", "-s", "--filter", `name=${name}`, "--format", "{{.Size}}"),
    ),
  );
});

check("API list: the fields of one entry", async (t) => {
  const name = await t.idle("-l", "a=b");
  const filters = encodeURIComponent(JSON.stringify({ name: [name] }));
  const reply = await api("GET", `/v1.41/containers/json?all=1&filters=${filters}`);
  const [entry] = reply.json<Record<string, unknown>[]>();
  expect(entry).toMatchObject({
    Names: [`/${name}`],
    Image: BUSYBOX,
    Command: "sleep 600",
    State: "running",
    Labels: { a: "b" },
    Ports: [],
    Mounts: [],
  });
  expect(String(entry?.["ImageID"])).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(typeof entry?.["Created"]).toBe("number");
  expect(entry?.["HostConfig"]).toMatchObject({
    NetworkMode: expect.stringMatching(/^(default|bridge)$/) as unknown,
  });
});

check("exited and dead words of API state", async (t) => {
  const name = await t.up(BUSYBOX, "true");
  await dockerOk("wait", name);
  const { State } = await inspect<{ State: Record<string, unknown> }>(name);
  expect(State).toMatchObject({
    Status: "exited",
    Running: false,
    Paused: false,
    Restarting: false,
    Dead: false,
    Pid: 0,
    ExitCode: 0,
    Error: "",
  });
});

check(
  "list limit and the order newest first",
  async (t) => {
    const label = t.name();
    const names = [
      await t.create("-l", label, BUSYBOX),
      await t.create("-l", label, BUSYBOX),
      await t.create("-l", label, BUSYBOX),
    ];
    const filters = encodeURIComponent(JSON.stringify({ label: [label] }));
    const all = (await api("GET", `/containers/json?all=1&filters=${filters}`)).json<
      { Names: string[] }[]
    >();
    expect(all.map((c) => c.Names[0])).toEqual(names.toReversed().map((n) => `/${n}`));
    const two = (await api("GET", `/containers/json?limit=2&filters=${filters}`)).json<
      { Names: string[] }[]
    >();
    expect(two.length).toBe(2);
  },
  { skip: skipOn("given", "other containers come and go") },
);

check("a container that wrote nothing has no size of its own, though it ran", async (t) => {
  const name = await t.create(BUSYBOX, "true");
  await dockerOk("start", "-a", name);
  const size = await dockerOk("ps", "-as", "--filter", `name=${name}`, "--format", "{{.Size}}");
  expect(size).toStartWith("0B (virtual ");
});
