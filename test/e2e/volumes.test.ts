/** Volumes: named, anonymous, copy-up, --volumes-from, options, inspect. */
import { expect } from "bun:test";
import { existsSync, readFileSync } from "node:fs";

import {
  BUSYBOX,
  FULL,
  check,
  docker,
  dockerOk,
  engine,
  inspect,
  sh,
  shOk,
  skipOn,
  until,
} from "../harness/check.ts";
import { dockerBackground } from "../harness/client.ts";

interface VolumeInfo {
  readonly Name: string;
  readonly Driver: string;
  readonly Mountpoint: string;
  readonly Labels: Record<string, string> | null;
  readonly Options: Record<string, string> | null;
  readonly Scope: string;
  readonly CreatedAt: string;
}

interface Mount {
  readonly Type: string;
  readonly Name?: string;
  readonly Source: string;
  readonly Destination: string;
  readonly Driver?: string;
  readonly RW: boolean;
}

const volumeInfo = (name: string): Promise<VolumeInfo> =>
  dockerOk("volume", "inspect", name).then((text) => (JSON.parse(text) as VolumeInfo[])[0]!);

const anonymousOf = async (container: string): Promise<readonly Mount[]> =>
  (await inspect<{ Mounts: Mount[] }>(container)).Mounts.filter((m) => m.Type === "volume");

check("create and inspect", async (t) => {
  const name = await t.volume("--label", "a=1", "--label", "bare");
  const info = await volumeInfo(name);
  expect(info).toMatchObject({
    Name: name,
    Driver: "local",
    Scope: "local",
    Labels: { a: "1", bare: "" },
  });
  expect(info.Mountpoint).toContain(name);
  expect(Math.abs(Date.now() - Date.parse(info.CreatedAt))).toBeLessThan(120_000);
});

check("create twice is no error, create without a name gives 64 digits", async (t) => {
  const name = await t.volume();
  expect(await dockerOk("volume", "create", name)).toBe(name);
  const anonymous = await dockerOk("volume", "create");
  t.defer(() => docker(["volume", "rm", anonymous]));
  expect(anonymous).toMatch(/^[0-9a-f]{64}$/);
});

check("an invalid name is refused", async () => {
  const out = await docker(["volume", "create", "bad/name"]);
  expect(out.code).toBe(1);
  expect(out.stderr).toMatch(/includes invalid characters/);
});

check("an unknown driver is refused", async (t) => {
  const out = await docker(["volume", "create", "--driver", "nosuch", t.name()]);
  expect(out.code).toBe(1);
  expect(out.stderr).toMatch(/nosuch/);
});

check("data outlives the container", async (t) => {
  const name = await t.volume();
  await shOk(["-v", `${name}:/d`], "echo kept > /d/f");
  expect(await shOk(["-v", `${name}:/other`], "cat /other/f")).toBe("kept");
});

check("-v NAME makes the volume", async (t) => {
  const name = t.name();
  t.defer(() => docker(["volume", "rm", "-f", name]));
  await shOk(["-v", `${name}:/d`], "touch /d/f");
  expect((await volumeInfo(name)).Driver).toBe("local");
});

check("two containers share a volume at the same time", async (t) => {
  const name = await t.volume();
  const one = await t.idle("-v", `${name}:/d`);
  const two = await t.idle("-v", `${name}:/d`);
  await dockerOk("exec", one, "sh", "-c", "echo seen > /d/f");
  expect(await dockerOk("exec", two, "cat", "/d/f")).toBe("seen");
});

check(
  "the mountpoint on the host has the data",
  async (t) => {
    const name = await t.volume();
    await shOk(["-v", `${name}:/d`], "echo data > /d/f");
    const { Mountpoint } = await volumeInfo(name);
    expect(readFileSync(`${Mountpoint}/f`, "utf8")).toBe("data\n");
  },
  { skip: engine.dataRoot === undefined ? "the engine's files are elsewhere" : undefined },
);

check("copy-up: an empty volume gets the image's content, owner and mode", async (t) => {
  const name = await t.volume();
  const out = await dockerOk(
    "run",
    "--rm",
    "-v",
    `${name}:/data`,
    "--entrypoint",
    "sh",
    FULL,
    "-c",
    "cat /data/seed; stat -c '%a %u %g' /data; readlink /data/link",
  );
  expect(out).toBe("seed\n750 1000 50\nseed");
  expect(await shOk(["-v", `${name}:/x`], "cat /x/seed")).toBe("seed");
});

check("no copy-up into a volume that has something", async (t) => {
  const name = await t.volume();
  await shOk(["-v", `${name}:/d`], "touch /d/mine");
  const out = await dockerOk(
    "run",
    "--rm",
    "-u",
    "0",
    "-v",
    `${name}:/data`,
    "--entrypoint",
    "ls",
    FULL,
    "/data",
  );
  expect(out).toBe("mine");
});

check("nocopy leaves the volume empty", async (t) => {
  const name = await t.volume();
  const out = await dockerOk(
    "run",
    "--rm",
    "-u",
    "0",
    "-v",
    `${name}:/data:nocopy`,
    "--entrypoint",
    "ls",
    FULL,
    "/data",
  );
  expect(out).toBe("");
  const other = await t.volume();
  const mount = `type=volume,src=${other},dst=/data,volume-nocopy`;
  expect(
    await dockerOk("run", "--rm", "-u", "0", "--mount", mount, "--entrypoint", "ls", FULL, "/data"),
  ).toBe("");
});

check("copy-up of a path that is no VOLUME of the image too", async (t) => {
  const name = await t.volume();
  expect(await shOk(["-v", `${name}:/etc`], "cat /etc/marker")).toBe("from the image");
});

check("no copy-up for a bind mount", async (t) => {
  const out = await dockerOk(
    "run",
    "--rm",
    "-u",
    "0",
    "-v",
    `${t.folder()}:/data`,
    "--entrypoint",
    "ls",
    FULL,
    "/data",
  );
  expect(out).toBe("");
});

check("VOLUME of the image makes an anonymous volume with copy-up", async (t) => {
  const name = await t.create("--entrypoint", "cat", FULL, "/data/seed");
  const [mount, ...more] = await anonymousOf(name);
  expect(more).toEqual([]);
  expect(mount?.Destination).toBe("/data");
  expect(mount?.Name).toMatch(/^[0-9a-f]{64}$/);
  expect((await docker(["start", "-a", name])).stdout).toBe("seed\n");
});

check("run --rm removes anonymous volumes and keeps named ones", async (t) => {
  const named = await t.volume();
  const name = t.name();
  const mounts = ["-v", `${named}:/n`, "-v", "/anon"];
  const script = "echo up; until test -e /go; do sleep 0.1; done";
  const args = ["--rm", "--name", name, ...mounts, BUSYBOX, "sh", "-c", script];
  const client = dockerBackground("run", ...args);
  await client.waitFor("up");
  const anonymous =
    (await anonymousOf(name)).find((m) => m.Destination === "/anon")?.Name ?? "none";
  expect(anonymous).toMatch(/^[0-9a-f]{64}$/);
  // Detached: the exec goes with its container, before a client could ask for its code.
  await dockerOk("exec", "-d", name, "touch", "/go");
  expect(await client.exited).toBe(0);
  await until("it goes", async () => (await docker(["volume", "inspect", anonymous])).code === 1);
  expect((await docker(["volume", "inspect", named])).code).toBe(0);
});

check("rm keeps anonymous volumes, rm -v removes them", async (t) => {
  const [one, two] = [await t.create("-v", "/a", BUSYBOX), await t.create("-v", "/a", BUSYBOX)];
  const [first, second] = [(await anonymousOf(one))[0]!.Name!, (await anonymousOf(two))[0]!.Name!];
  t.defer(() => docker(["volume", "rm", "-f", first, second]));
  await dockerOk("rm", one);
  await dockerOk("rm", "-v", two);
  expect((await docker(["volume", "inspect", first])).code).toBe(0);
  expect((await docker(["volume", "inspect", second])).code).toBe(1);
});

check("--volumes-from takes all volumes, :ro makes them read-only", async (t) => {
  const named = await t.volume();
  const from = await t.create("-v", `${named}:/n`, "-v", "/a", BUSYBOX);
  await shOk(["--volumes-from", from], "echo x > /n/f; echo y > /a/f");
  expect(await shOk(["--volumes-from", from], "cat /n/f /a/f")).toBe("x\ny");
  const out = await sh(["--volumes-from", `${from}:ro`], "touch /n/g");
  expect(out.stderr).toMatch(/Read-only file system/i);
});

check("--volumes-from of an unknown container is refused", async () => {
  const out = await docker(["run", "--rm", "--volumes-from", "e2e-missing", BUSYBOX, "true"]);
  expect(out.code).toBe(125);
  expect(out.stderr).toMatch(/No such container/);
});

check("a read-only volume", async (t) => {
  const name = await t.volume();
  expect((await sh(["-v", `${name}:/d:ro`], "touch /d/f")).stderr).toMatch(
    /Read-only file system/i,
  );
  const mount = `type=volume,src=${name},dst=/d,readonly`;
  expect((await sh(["--mount", mount], "touch /d/f")).stderr).toMatch(/Read-only file system/i);
});

check("inspect shows a volume mount", async (t) => {
  const name = await t.volume();
  const container = await t.create("-v", `${name}:/d`, BUSYBOX);
  const [mount] = await anonymousOf(container);
  expect(mount).toMatchObject({
    Type: "volume",
    Name: name,
    Destination: "/d",
    Driver: "local",
    RW: true,
  });
});

check("--mount type=volume without a source is anonymous", async (t) => {
  const container = await t.create("--mount", "type=volume,dst=/d", BUSYBOX);
  expect((await anonymousOf(container))[0]?.Name).toMatch(/^[0-9a-f]{64}$/);
});

check(
  "volume-subpath",
  async (t) => {
    const name = await t.volume();
    await shOk(["-v", `${name}:/d`], "mkdir -p /d/sub && echo below > /d/sub/f");
    const mount = `type=volume,src=${name},dst=/s,volume-subpath=sub`;
    expect(await shOk(["--mount", mount], "cat /s/f")).toBe("below");
  },
  { skip: skipOn("docker20", "subpaths came with 26.0") },
);

check("volume options: a tmpfs by --opt", async (t) => {
  const name = await t.volume(
    "--opt",
    "type=tmpfs",
    "--opt",
    "device=tmpfs",
    "--opt",
    "o=size=1m,uid=7",
  );
  expect(
    await shOk(["-v", `${name}:/d`], "grep ' /d ' /proc/mounts | cut -d' ' -f3; stat -c %u /d"),
  ).toBe("tmpfs\n7");
  expect((await volumeInfo(name)).Options).toEqual({
    type: "tmpfs",
    device: "tmpfs",
    o: "size=1m,uid=7",
  });
});

check("volume options: a bind by --opt", async (t) => {
  const dir = t.folder();
  const name = await t.volume("--opt", "type=none", "--opt", `device=${dir}`, "--opt", "o=bind");
  await shOk(["-v", `${name}:/d`], "echo x > /d/f");
  expect(existsSync(`${dir}/f`)).toBe(true);
});
