/** The room against a real file system and real mounts. Needs root. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { silentLogger } from "#lib/log.ts";
import { openDatabase } from "#database/database.ts";
import { fileKernel } from "#kernel/file.ts";
import { mountKernel } from "#kernel/mount.ts";
import { quotaKernel } from "#kernel/project-quota.ts";
import { TRASH_MIGRATIONS, createTrashRows } from "#metadata/trash.ts";
import { VOLUME_MIGRATIONS, createVolumeRows } from "#metadata/volumes.ts";
import type { ContainerConfig } from "#spec/docker/container-config.ts";
import { parseFilters } from "#spec/docker/filters.ts";
import type { HostConfig } from "#spec/docker/host-config.ts";
import { createVolumes } from "#volume/service.ts";
import type { PrepareRequest, VolumeEvent, Volumes } from "#volume/volume.ts";

let root: string;
let rootfs: string;
let volumes: Volumes;
let events: VolumeEvent[];
let make: () => Volumes;

beforeEach(async () => {
  root = mkdtempSync("/tmp/naru-vol-");
  rootfs = `${root}/rootfs`;
  mkdirSync(rootfs);
  events = [];
  const database = openDatabase(":memory:", [...VOLUME_MIGRATIONS, ...TRASH_MIGRATIONS]);
  const rows = createVolumeRows(database);
  make = () =>
    createVolumes({
      dataRoot: `${root}/data`,
      execRoot: `${root}/run`,
      rows,
      kernel: { ...mountKernel, ...fileKernel },
      quotas: quotaKernel,
      images: {
        view: async () => {
          mkdirSync(`${root}/image`, { recursive: true });
          writeFileSync(`${root}/image/hello`, "image");
          return { path: `${root}/image`, [Symbol.dispose]: () => undefined };
        },
      },
      publish: (event) => events.push(event),
      logger: silentLogger,
      trash: createTrashRows(database, false),
      users: { whilePaused: (_ids, work) => work(), isRunning: () => false },
    });
  volumes = make();
  await volumes.start();
});

afterEach(async () => {
  await volumes.reset();
  expect(mountKernel.mountsUnder(root)).toEqual([]);
  rmSync(root, { recursive: true });
});

const hostConfig = (part: Partial<HostConfig> = {}): HostConfig =>
  ({ Binds: null, VolumesFrom: null, VolumeDriver: "", ...part }) as HostConfig;

const prepare = (
  part: Partial<HostConfig>,
  paths: string[] = [],
  more: Partial<PrepareRequest> = {},
) =>
  volumes.prepare({
    containerId: "c1",
    config: {
      Volumes: Object.fromEntries(paths.map((p) => [p, {}])),
    } as unknown as ContainerConfig,
    hostConfig: hostConfig(part),
    mountsOf: () => [],
    rootfs: () => rootfs,
    ...more,
  });

const filters = (object: Record<string, string[]>) =>
  parseFilters(JSON.stringify(object), ["label", "label!", "all"]);

test("create, get, list, remove", async () => {
  const made = await volumes.create({ Name: "data", Labels: { a: "b" } });
  expect(made).toMatchObject({ Name: "data", Driver: "local", Scope: "local", Labels: { a: "b" } });
  expect(existsSync(made.Mountpoint)).toBe(true);
  expect(await volumes.create({ Name: "data" })).toEqual(made);
  expect(volumes.get("data")).toEqual(made);
  const anonymous = await volumes.create({});
  expect(anonymous.Name).toMatch(/^[0-9a-f]{64}$/);
  expect(anonymous.Labels).toEqual({ "com.docker.volume.anonymous": "" });
  await volumes.remove("data", { force: false });
  expect(() => volumes.get("data")).toThrow("get data: no such volume");
  expect(volumes.remove("data", { force: false })).rejects.toThrow("get data: no such volume");
  await volumes.remove("data", { force: true });
  expect(volumes.list()).toHaveLength(1);
  expect(events.map((event) => event.Action)).toEqual(["create", "create", "destroy"]);
});

test("wrong names, drivers and options are refused in Docker's words", async () => {
  expect(volumes.create({ Name: "a/b" })).rejects.toThrow(
    'create a/b: "a/b" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path',
  );
  expect(volumes.create({ Name: "a" })).rejects.toThrow("volume name is too short");
  expect(volumes.create({ Name: "aa", Driver: "x" })).rejects.toThrow(
    'create aa: error looking up volume plugin x: plugin "x" not found',
  );
  expect(volumes.create({ Name: "aa", DriverOpts: { x: "y" } })).rejects.toThrow(
    'invalid option: "x"',
  );
  expect(volumes.create({ Name: "aa", DriverOpts: { type: "nfs" } })).rejects.toThrow(
    'missing required option: "device"',
  );
  expect(volumes.list()).toEqual([]);
});

test("a volume in use stays, also after a restart", async () => {
  const { points } = await prepare({ Binds: ["data:/data"] });
  expect(points).toEqual([
    {
      Type: "volume",
      Name: "data",
      Source: `${root}/data/volumes/data/_data`,
      Destination: "/data",
      Driver: "local",
      Mode: "z",
      RW: true,
      Propagation: "",
    },
  ]);
  expect(volumes.remove("data", { force: true })).rejects.toThrow(
    "remove data: volume is in use - [c1]",
  );
  const next = make();
  await next.start();
  next.adopt("c1", points, false);
  expect(next.remove("data", { force: true })).rejects.toThrow("in use");
  expect(next.usedNames()).toEqual(new Set(["data"]));
  await next.forget("c1", points, true);
  await next.remove("data", { force: false });
});

test("an empty volume takes over the image's content with everything about it", async () => {
  const source = `${rootfs}/srv/data`;
  mkdirSync(source, { recursive: true });
  chmodSync(source, 0o1777);
  chownSync(source, 33, 44);
  writeFileSync(`${source}/file`, "text");
  chownSync(`${source}/file`, 1000, 1001);
  chmodSync(`${source}/file`, 0o4750);
  linkSync(`${source}/file`, `${source}/same`);
  symlinkSync("/etc/passwd", `${source}/link`);
  mkdirSync(`${source}/.hidden/deep`, { recursive: true });
  fileKernel.setXattr(`${source}/file`, "user.x", Buffer.from("y"));
  // The way there goes over a link that would lead out of the root.
  symlinkSync("/srv", `${rootfs}/absolute`);
  const { points, anonymous } = await prepare({}, ["/absolute/data"]);
  const target = points[0]!.Source;
  expect(anonymous).toEqual([points[0]!.Name!]);
  const root = lstatSync(target);
  expect([root.mode & 0o7777, root.uid, root.gid]).toEqual([0o1777, 33, 44]);
  const file = lstatSync(`${target}/file`);
  expect([file.mode & 0o7777, file.uid, file.gid, file.nlink]).toEqual([0o4750, 1000, 1001, 2]);
  expect(readlinkSync(`${target}/link`)).toBe("/etc/passwd");
  expect(readdirSync(target).toSorted()).toEqual([".hidden", "file", "link", "same"]);
  expect(Buffer.from(fileKernel.getXattr(`${target}/file`, "user.x")!).toString()).toBe("y");
  expect((await volumes.usage())[0]!.UsageData).toEqual({
    Size: 4 + "/etc/passwd".length,
    RefCount: 1,
  });
});

test("a volume with content, or with nocopy, or without a source stays as it is", async () => {
  mkdirSync(`${rootfs}/data`);
  writeFileSync(`${rootfs}/data/a`, "");
  const made = await volumes.create({ Name: "full" });
  writeFileSync(`${made.Mountpoint}/mine`, "");
  const { points } = await prepare({ Binds: ["full:/data", "plain:/nowhere"] });
  expect(points.map((point) => readdirSync(point.Source))).toEqual([["mine"], []]);
  const other = await prepare({ Binds: ["empty:/data:nocopy"] }, [], { containerId: "c2" });
  expect(readdirSync(other.points[0]!.Source)).toEqual([]);
  writeFileSync(`${rootfs}/file`, "");
  expect(prepare({}, ["/file"])).rejects.toThrow(
    "cannot mount volume over existing file, file exists /file",
  );
});

test("a failed prepare leaves no volume behind", async () => {
  writeFileSync(`${rootfs}/file`, "");
  expect(prepare({ Binds: ["good:/a"] }, ["/file"])).rejects.toThrow("file exists");
  await Bun.sleep(1);
  expect(volumes.list()).toEqual([]);
  const mounts = [{ Type: "bind" as const, Source: `${root}/absent`, Target: "/x" }];
  expect(prepare({ Mounts: mounts })).rejects.toThrow(
    `invalid mount config for type "bind": bind source path does not exist: ${root}/absent`,
  );
});

test("forget removes anonymous volumes only, and only when nobody else uses them", async () => {
  const first = await prepare({ Binds: ["named:/n"] }, ["/anon"]);
  const second = await prepare({ VolumesFrom: ["c1:ro"] }, [], {
    containerId: "c2",
    mountsOf: () => first.points,
  });
  expect(second.points.map((point) => point.RW)).toEqual([false, false]);
  expect(second.anonymous).toEqual([]);
  await volumes.forget("c1", first.points, true);
  expect(volumes.list()).toHaveLength(2);
  await volumes.forget("c2", second.points, true);
  expect(volumes.list().map((volume) => volume.Name)).toEqual(["named"]);
});

test("prune takes unused anonymous volumes, all with the filter, and tells the bytes", async () => {
  const anonymous = await volumes.create({});
  writeFileSync(`${anonymous.Mountpoint}/x`, "12345");
  await volumes.create({ Name: "kept", Labels: { keep: "1" } });
  await volumes.create({ Name: "spare" });
  await prepare({ Binds: ["used:/x"] });
  expect(await volumes.prune(filters({}))).toEqual({
    VolumesDeleted: [anonymous.Name],
    SpaceReclaimed: 5,
  });
  expect((await volumes.prune(filters({ all: ["1"], "label!": ["keep"] }))).VolumesDeleted).toEqual(
    ["spare"],
  );
  expect(
    volumes
      .list()
      .map((volume) => volume.Name)
      .toSorted(),
  ).toEqual(["kept", "used"]);
});

test("mounts of config.json, parents first", async () => {
  mkdirSync(`${root}/host`);
  const host = hostConfig({
    Binds: [`${root}/host:/a/b:ro`, `${root}/made/by/us:/z`, "v1:/a/b/c/d"],
    Mounts: [
      { Type: "tmpfs", Target: "/a", TmpfsOptions: { SizeBytes: 4096 } },
      {
        Type: "bind",
        Source: `${root}/host`,
        Target: "/flat",
        ReadOnly: true,
        BindOptions: { NonRecursive: true, Propagation: "rslave" },
      },
    ],
    Tmpfs: { "/run/x": "exec" },
  });
  const { points } = await prepare(host);
  expect(await volumes.runtimeMounts("c1", host, points)).toEqual([
    {
      destination: "/a",
      type: "tmpfs",
      source: "tmpfs",
      options: ["noexec", "nosuid", "nodev", "size=4096", "rprivate"],
    },
    {
      destination: "/flat",
      type: "bind",
      source: expect.stringMatching(/\/mounts\/c1\/0$/),
      options: ["bind", "ro", "rslave"],
    },
    {
      destination: "/z",
      type: "bind",
      source: `${root}/made/by/us`,
      options: ["rbind", "rw", "rprivate"],
    },
    {
      destination: "/a/b",
      type: "bind",
      source: `${root}/host`,
      options: ["rbind", "ro", "rro", "rprivate"],
    },
    {
      destination: "/run/x",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "nodev", "exec", "rprivate"],
    },
    {
      destination: "/a/b/c/d",
      type: "bind",
      source: `${root}/data/volumes/v1/_data`,
      options: ["rbind", "rw", "rprivate"],
    },
  ]);
  expect(lstatSync(`${root}/made/by/us`).isDirectory()).toBe(true);
});

test("volumes with mount options are mounted while somebody runs on them", async () => {
  await volumes.create({
    Name: "ram",
    DriverOpts: { type: "tmpfs", device: "tmpfs", o: "size=1m,noexec,uid=1000" },
  });
  mkdirSync(`${root}/other`);
  writeFileSync(`${root}/other/x`, "bound");
  await volumes.create({
    Name: "bound",
    DriverOpts: { type: "none", device: `${root}/other`, o: "bind" },
  });
  const host = hostConfig({ Binds: ["ram:/ram", "bound:/bound"] });
  const { points } = await prepare(host);
  const ram = volumes.get("ram").Mountpoint;
  expect(mountKernel.mountsUnder(root)).toEqual([]);
  await volumes.runtimeMounts("c1", host, points);
  await volumes.runtimeMounts("c2", host, points);
  expect(readFileSync(`${volumes.get("bound").Mountpoint}/x`, "utf8")).toBe("bound");
  expect(lstatSync(ram).uid).toBe(1000);
  volumes.releaseMounts("c1");
  expect(mountKernel.mountsUnder(ram)).toEqual([ram]);
  volumes.releaseMounts("c2");
  expect(mountKernel.mountsUnder(root)).toEqual([]);

  await volumes.create({ Name: "bad", DriverOpts: { type: "nosuchfs", device: "x" } });
  const bad = hostConfig({ Binds: ["bad:/x:nocopy"] });
  expect(prepare(bad)).resolves.toBeDefined();
  const made = await prepare(bad);
  expect(volumes.runtimeMounts("c1", bad, made.points)).rejects.toThrow(
    "failed to mount local volume",
  );
});

test("subpaths and images are bound for one container, and links cannot lead out", async () => {
  const { Mountpoint } = await volumes.create({ Name: "tree" });
  mkdirSync(`${Mountpoint}/a/b`, { recursive: true });
  writeFileSync(`${Mountpoint}/a/b/x`, "x");
  writeFileSync(`${Mountpoint}/a/file`, "f");
  symlinkSync("/etc", `${Mountpoint}/out`);
  const mount = (Subpath: string, Target: string) => ({
    Type: "volume" as const,
    Source: "tree",
    Target,
    VolumeOptions: { Subpath },
  });
  const host = hostConfig({
    Mounts: [
      mount("a/b", "/x"),
      mount("a/file", "/f"),
      { Type: "image", Source: "img", Target: "/img", ImageOptions: { Subpath: "" } },
    ],
  });
  const { points } = await prepare(host);
  const mounts = await volumes.runtimeMounts("c1", host, points);
  const at = (destination: string) => mounts.find((m) => m.destination === destination)!;
  expect(readdirSync(at("/x").source)).toEqual(["x"]);
  expect(readFileSync(at("/f").source, "utf8")).toBe("f");
  expect(readFileSync(`${at("/img").source}/hello`, "utf8")).toBe("image");
  expect(at("/img").options).toEqual(["rbind", "ro", "rro", "rprivate"]);
  expect(mountKernel.mountsUnder(`${root}/run/mounts/c1`)).toHaveLength(3);
  volumes.releaseMounts("c1");
  expect(mountKernel.mountsUnder(root)).toEqual([]);

  const out = hostConfig({ Mounts: [mount("out/passwd", "/x")] });
  const prepared = await prepare(out);
  expect(volumes.runtimeMounts("c1", out, prepared.points)).rejects.toThrow("no such file");
});

test("what a dead daemon left half-made is swept", async () => {
  mkdirSync(`${root}/data/volumes/half/_data`, { recursive: true });
  mkdirSync(`${root}/data/volumes/.trash/old.1`, { recursive: true });
  await volumes.create({ Name: "whole" });
  const next = make();
  await next.start();
  expect(readdirSync(`${root}/data/volumes`).toSorted()).toEqual([".trash", "whole"]);
  expect(readdirSync(`${root}/data/volumes/.trash`)).toEqual([]);
});
