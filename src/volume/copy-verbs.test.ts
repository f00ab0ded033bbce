/** Volumes renamed, cloned, backed up and restored, on a real file system. Needs root. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { silentLogger } from "#lib/log.ts";
import { openDatabase } from "#database/database.ts";
import { fileKernel } from "#kernel/file.ts";
import { mountKernel } from "#kernel/mount.ts";
import { quotaKernel } from "#kernel/project-quota.ts";
import { TRASH_MIGRATIONS, createTrashRows } from "#metadata/trash.ts";
import { VOLUME_MIGRATIONS, createVolumeRows } from "#metadata/volumes.ts";
import type { MountPoint } from "#spec/docker/container.ts";
import { createVolumes } from "#volume/service.ts";
import type { Volumes } from "#volume/volume.ts";

let root: string;
let volumes: Volumes;
let make: () => Volumes;
let paused: string[];
let running: Set<string>;

beforeEach(async () => {
  root = mkdtempSync("/tmp/naru-vol-verbs-");
  paused = [];
  running = new Set();
  const database = openDatabase(":memory:", [...VOLUME_MIGRATIONS, ...TRASH_MIGRATIONS]);
  const rows = createVolumeRows(database);
  make = () =>
    createVolumes({
      dataRoot: `${root}/data`,
      execRoot: `${root}/run`,
      rows,
      kernel: { ...mountKernel, ...fileKernel },
      quotas: quotaKernel,
      images: { view: () => Promise.reject(new Error("no images here")) },
      publish: () => undefined,
      logger: silentLogger,
      trash: createTrashRows(database, false),
      users: {
        whilePaused: (ids, work) => {
          paused.push(...ids);
          return work();
        },
        isRunning: (id) => running.has(id),
      },
    });
  volumes = make();
  await volumes.start();
});

afterEach(async () => {
  await volumes.reset();
  expect(mountKernel.mountsUnder(root)).toEqual([]);
  rmSync(root, { recursive: true });
});

/** A container "c1" has the volume. */
const use = (Name: string): void => {
  volumes.adopt("c1", [{ Type: "volume", Name } as MountPoint], false);
};

test("renamed: content and labels stay, the old name is free, a rename cut short is finished", async () => {
  const { Mountpoint } = await volumes.create({ Name: "old", Labels: { a: "b" } });
  writeFileSync(`${Mountpoint}/f`, "kept");
  const renamed = volumes.rename("old", "new");
  expect(renamed).toMatchObject({ Name: "new", Labels: { a: "b" } });
  expect(readFileSync(`${renamed.Mountpoint}/f`, "utf8")).toBe("kept");
  expect(() => volumes.get("old")).toThrow("no such volume");
  await volumes.create({ Name: "old" });
  expect(() => volumes.rename("old", "new")).toThrow('volume "new" exists already');
  expect(() => volumes.rename("old", "a/b")).toThrow("includes invalid characters");
  use("new");
  expect(() => volumes.rename("new", "newer")).toThrow("volume is in use - [c1]");
});

test("cloned and exported while its containers stand still; a plain one never pauses anybody", async () => {
  const { Mountpoint } = await volumes.create({ Name: "data", Labels: { a: "b" } });
  writeFileSync(`${Mountpoint}/f`, "1");
  use("data");
  const copy = await volumes.clone("data", { Name: "copy" }, { isPaused: true });
  expect(paused).toEqual(["c1"]);
  expect(copy).toMatchObject({ Name: "copy", Labels: { a: "b" } });
  writeFileSync(`${Mountpoint}/f`, "2");
  expect(readFileSync(`${copy.Mountpoint}/f`, "utf8")).toBe("1");
  const live = { isPaused: false };
  expect(volumes.clone("data", { Name: "copy" }, live)).rejects.toThrow("exists already");
  await volumes.clone("data", { Name: "live", Labels: {} }, live);
  expect(paused).toEqual(["c1"]);
  expect(volumes.get("live").Labels).toBeNull();
});

test("a backup becomes a volume again, with its name and labels; half-made ones never show", async () => {
  const { Mountpoint } = await volumes.create({ Name: "data", Labels: { a: "b" } });
  writeFileSync(`${Mountpoint}/f`, "kept");
  const options = { format: "backup", isPaused: true } as const;
  const backup = Buffer.concat(await Array.fromAsync(await volumes.export("data", options)));
  const stream = (bytes: Buffer) => new Response(bytes).body as ReadableStream<Uint8Array>;
  expect(volumes.restore(undefined, stream(backup))).rejects.toThrow("exists already");
  const cut = stream(backup.subarray(0, backup.length - 20));
  expect(volumes.restore("cut", cut)).rejects.toThrow("the archive is cut short");
  await volumes.remove("data", { force: false });
  const restored = await volumes.restore(undefined, stream(backup));
  expect(restored).toMatchObject({ Name: "data", Labels: { a: "b" } });
  expect(readFileSync(`${restored.Mountpoint}/f`, "utf8")).toBe("kept");
  expect(volumes.list().map((volume) => volume.Name)).toEqual(["data"]);
  running.add("c1");
  use("data");
  expect(volumes.import("data", stream(backup))).rejects.toThrow("containers run on the volume");
  running.clear();
  writeFileSync(`${restored.Mountpoint}/f`, "changed");
  await volumes.import("data", stream(backup));
  expect(readFileSync(`${restored.Mountpoint}/f`, "utf8")).toBe("kept");
});

test("a mount that a killed daemon left for nobody goes when the next one has settled", async () => {
  const tmpfs = { type: "tmpfs", device: "tmpfs", o: "size=1m" };
  const { Mountpoint } = await volumes.create({ Name: "memory", DriverOpts: tmpfs });
  mountKernel.mount("tmpfs", Mountpoint, "tmpfs", []);
  const next = make();
  await next.start();
  next.settle();
  expect(mountKernel.mountsUnder(root)).toEqual([]);
});
