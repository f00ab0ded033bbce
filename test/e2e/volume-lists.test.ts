/** Volumes: `rm`, `ls` with its filters and formats, `prune`. */
import { expect } from "bun:test";

import { api, BUSYBOX, check, docker, dockerOk, prune, skipOn } from "../harness/check.ts";

check("a volume in use cannot be removed, and the message names the container", async (t) => {
  const name = await t.volume();
  const container = await t.create("-v", `${name}:/d`, BUSYBOX);
  const id = await dockerOk("inspect", "--format", "{{.Id}}", container);
  const out = await docker(["volume", "rm", name]);
  expect(out.code).toBe(1);
  expect(out.stderr).toMatch(/volume is in use/);
  expect(out.stderr).toContain(id);
  expect((await docker(["volume", "rm", "-f", name])).code).toBe(1);
});

check("rm of several, one unknown: code 1, the others go", async (t) => {
  const [one, two] = [await t.volume(), await t.volume()];
  const out = await docker(["volume", "rm", one, "e2e-no-volume", two]);
  expect(out.code).toBe(1);
  expect(out.stdout.trim().split("\n")).toEqual([one, two]);
  expect(out.stderr).toMatch(/no such volume/i);
});

check("rm -f of an unknown one is no error", async () => {
  expect((await docker(["volume", "rm", "-f", "e2e-no-volume"])).code).toBe(0);
});

check("ls with filters name, label, driver and -q", async (t) => {
  const label = t.name();
  const one = await t.volume("--label", label);
  const two = await t.volume("--label", `${label}=v`);
  const ls = (...args: string[]): Promise<string> => dockerOk("volume", "ls", "-q", ...args);
  expect((await ls("--filter", `label=${label}`)).split("\n").sort()).toEqual([one, two].sort());
  expect(await ls("--filter", `label=${label}=v`)).toBe(two);
  expect(await ls("--filter", `name=${one}`)).toBe(one);
  expect((await ls("--filter", "driver=local")).split("\n")).toContain(one);
  expect(await ls("--filter", "driver=nosuch")).toBe("");
});

check("ls --filter dangling", async (t) => {
  const [used, unused] = [await t.volume(), await t.volume()];
  await t.create("-v", `${used}:/d`, BUSYBOX);
  const dangling = (await dockerOk("volume", "ls", "-q", "--filter", "dangling=true")).split("\n");
  expect(dangling).toContain(unused);
  expect(dangling).not.toContain(used);
  const inUse = (await dockerOk("volume", "ls", "-q", "--filter", "dangling=false")).split("\n");
  expect(inUse).toContain(used);
  expect(inUse).not.toContain(unused);
});

check("ls with an unknown filter is refused", async () => {
  const out = await docker(["volume", "ls", "--filter", "nonsense=1"]);
  expect(out.code).toBe(1);
  expect(out.stderr).toMatch(/invalid filter/i);
});

check("ls --format", async (t) => {
  const name = await t.volume("--label", "k=v");
  const out = await dockerOk(
    "volume",
    "ls",
    "--filter",
    `name=${name}`,
    "--format",
    "{{.Name}} {{.Driver}} {{.Scope}} {{.Labels}}",
  );
  expect(out).toBe(`${name} local local k=v`);
});

check(
  "prune takes anonymous ones only, by label",
  async (t) => {
    const label = t.name();
    const named = await t.volume("--label", label);
    const made = await api("POST", "/volumes/create", { body: { Labels: { [label]: "" } } });
    const anonymous = made.json<{ Name: string }>().Name;
    t.defer(() => docker(["volume", "rm", "-f", anonymous]));
    const out = await prune("volume", "-f", "--filter", `label=${label}`);
    expect(out).toContain(anonymous);
    expect(out).toContain("Total reclaimed space");
    expect((await docker(["volume", "inspect", named])).code).toBe(0);
  },
  { skip: skipOn("docker20", "prune took named volumes as well before 23.0") },
);

check(
  "prune --all takes named ones too",
  async (t) => {
    const label = t.name();
    const [free, used] = [await t.volume("--label", label), await t.volume("--label", label)];
    await t.create("-v", `${used}:/d`, BUSYBOX);
    await prune("volume", "-f", "--all", "--filter", `label=${label}`);
    expect((await docker(["volume", "inspect", free])).code).toBe(1);
    expect((await docker(["volume", "inspect", used])).code).toBe(0);
  },
  { skip: skipOn("docker20", "--all came with 23.0") },
);
