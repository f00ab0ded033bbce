/** `inspect`, `rename`, `rm`, `container prune`. */
import { expect } from "bun:test";

import { BUSYBOX, check, docker, dockerOk, field, inspect, prune } from "../harness/check.ts";

/** Names of all containers with the label. */
const ps = async (label: string): Promise<string[]> =>
  (await dockerOk("ps", "-a", "--filter", `label=${label}`, "--format", "{{.Names}}"))
    .split("\n")
    .filter((line) => line !== "")
    .sort();

check("inspect by name, id, short id; unknown gives [] and 1", async (t) => {
  const name = await t.create(BUSYBOX, "true");
  const id = await field(name, "{{.Id}}");
  for (const key of [name, id, id.slice(0, 12), `/${name}`])
    expect(await field(key, "{{.Id}}")).toBe(id);
  const out = await docker(["inspect", "e2e-unknown-thing"]);
  expect([out.code, out.stdout.trim()]).toEqual([1, "[]"]);
  expect(out.stderr).toMatch(/No such object: e2e-unknown-thing/);
});

check("inspect --type decides", async () => {
  expect((await docker(["inspect", "--type", "image", BUSYBOX])).code).toBe(0);
  const out = await docker(["inspect", "--type", "container", BUSYBOX]);
  expect(out.code).toBe(1);
  expect(out.stderr).toMatch(/No such container/);
});

check("inspect: configuration as given", async (t) => {
  const name = await t.create(
    "-e",
    "A=1",
    "-w",
    "/w",
    "-u",
    "5",
    "--entrypoint",
    "/bin/sh",
    "-t",
    "-i",
    BUSYBOX,
    "-c",
    "true",
  );
  const info = await inspect<{
    Path: string;
    Args: string[];
    Image: string;
    Config: Record<string, unknown>;
    Name: string;
    Driver: string;
    Platform: string;
  }>(name);
  expect([info.Path, info.Args, info.Name, info.Platform]).toEqual([
    "/bin/sh",
    ["-c", "true"],
    `/${name}`,
    "linux",
  ]);
  expect(info.Config).toMatchObject({
    User: "5",
    WorkingDir: "/w",
    Tty: true,
    OpenStdin: true,
    StdinOnce: true,
    Image: BUSYBOX,
    Cmd: ["-c", "true"],
    Entrypoint: ["/bin/sh"],
  });
  expect(info.Config["Env"]).toContain("A=1");
});

check("inspect -s has the sizes", async (t) => {
  const name = await t.create(BUSYBOX, "true");
  const list = JSON.parse(await dockerOk("container", "inspect", "-s", name)) as {
    SizeRw: number;
    SizeRootFs: number;
  }[];
  expect(list[0]?.SizeRw).toBeGreaterThanOrEqual(0);
  expect(list[0]?.SizeRootFs).toBeGreaterThan(1_000_000);
});

check("inspect --format with functions", async (t) => {
  const name = await t.create("-l", "x=y", BUSYBOX, "a", "b");
  expect(
    await field(
      name,
      '{{index .Config.Labels "x"}} {{len .Args}} {{join .Args "-"}} {{upper .Path}}',
    ),
  ).toMatch(/^y 1 b A$/);
  expect((await docker(["inspect", "--format", "{{.NoSuch}}", name])).code).not.toBe(0);
});

check("rename", async (t) => {
  const name = await t.idle();
  const other = t.name();
  t.defer(() => docker(["rm", "-f", other]));
  await dockerOk("rename", name, other);
  expect(await field(other, "{{.Name}}")).toBe(`/${other}`);
  expect((await docker(["inspect", name])).code).toBe(1);
});

check("rename to a name in use, to itself, to nonsense is refused", async (t) => {
  const [one, two] = [await t.create(BUSYBOX), await t.create(BUSYBOX)];
  expect((await docker(["rename", one, two])).stderr).toMatch(/already in use/);
  expect((await docker(["rename", one, one])).code).toBe(1);
  expect((await docker(["rename", one, "bad/name"])).code).toBe(1);
});

check("rm of a running one is refused, rm -f removes it", async (t) => {
  const name = await t.idle();
  const out = await docker(["rm", name]);
  expect(out.code).toBe(1);
  expect(out.stderr).toMatch(/container is running|running container/i);
  expect(await dockerOk("rm", "-f", name)).toBe(name);
  expect((await docker(["inspect", name])).code).toBe(1);
});

check("rm of a paused one is refused, rm -f removes it", async (t) => {
  const name = await t.idle();
  await dockerOk("pause", name);
  expect((await docker(["rm", name])).code).toBe(1);
  await dockerOk("rm", "-f", name);
});

check("rm of an unknown one, rm -f of an unknown one", async () => {
  const out = await docker(["rm", "e2e-unknown"]);
  expect(out.code).toBe(1);
  expect(out.stderr).toMatch(/No such container: e2e-unknown/);
  const forced = await docker(["rm", "-f", "e2e-unknown"]);
  expect(forced.stderr + String(forced.code)).toMatch(/No such container|^0$/);
});

check("an ambiguous or empty id prefix is not taken", async () => {
  expect((await docker(["inspect", "--type", "container", "zzzz"])).code).toBe(1);
});

check("container prune with label and until", async (t) => {
  const label = t.name();
  const ended = await t.up("-l", label, BUSYBOX, "true");
  const made = await t.create("-l", label, BUSYBOX);
  const up = await t.idle("-l", label);
  await dockerOk("wait", ended);
  expect(
    await prune("container", "-f", "--filter", `label=${label}`, "--filter", "until=1h"),
  ).not.toContain("Deleted");
  const out = await prune("container", "-f", "--filter", `label=${label}`);
  expect(out).toContain("Deleted Containers:");
  expect(out).toMatch(/Total reclaimed space: \d/);
  expect(await ps(label)).toEqual([up]);
  expect((await docker(["inspect", made])).code).toBe(1);
});

check("container prune with label!= leaves those", async (t) => {
  const label = t.name();
  const keep = await t.create("-l", label, "-l", "keep", BUSYBOX);
  const go = await t.create("-l", label, BUSYBOX);
  await prune("container", "-f", "--filter", `label=${label}`, "--filter", "label!=keep");
  expect(await ps(label)).toEqual([keep]);
  expect((await docker(["inspect", go])).code).toBe(1);
});
