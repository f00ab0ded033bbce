/** Volumes of a limited size: when the limit is given and taken; the limit itself is tried in test/vm. Needs root. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { NaruError } from "#lib/errors.ts";
import { silentLogger } from "#lib/log.ts";
import { openDatabase } from "#database/database.ts";
import { fileKernel } from "#kernel/file.ts";
import { mountKernel } from "#kernel/mount.ts";
import { type QuotaKernel, quotaKernel } from "#kernel/project-quota.ts";
import { TRASH_MIGRATIONS, createTrashRows } from "#metadata/trash.ts";
import { VOLUME_MIGRATIONS, createVolumeRows } from "#metadata/volumes.ts";
import { createVolumes } from "#volume/service.ts";
import type { Volumes } from "#volume/volume.ts";

const MIB = 1024 * 1024;
const SIZED = { size: "10m" };

let root: string;
let calls: string[];

/** Notes each call with what the directory holds at that moment. */
const noted: QuotaKernel = {
  limitTree: (path, sizeBytes) => void calls.push(`${sizeBytes} ${readdirSync(path).join()}`),
  unlimitTree: (path) => void calls.push(`free ${readdirSync(path).join()}`),
};

const make = (quotas: QuotaKernel): Volumes => {
  const database = openDatabase(":memory:", [...VOLUME_MIGRATIONS, ...TRASH_MIGRATIONS]);
  return createVolumes({
    dataRoot: `${root}/data`,
    execRoot: `${root}/run`,
    rows: createVolumeRows(database),
    kernel: { ...mountKernel, ...fileKernel },
    quotas,
    images: { view: () => Promise.reject(new Error("no images here")) },
    publish: () => undefined,
    logger: silentLogger,
    trash: createTrashRows(database, false),
    users: { whilePaused: (_ids, work) => work(), isRunning: () => false },
  });
};

beforeEach(() => {
  root = mkdtempSync("/tmp/naru-vol-limits-");
  calls = [];
});

afterEach(() => rmSync(root, { recursive: true }));

test("a size is a limit from the first file on, a clone has it as well, and it goes with the volume", async () => {
  const volumes = make(noted);
  await volumes.start();
  const { Mountpoint, Options } = await volumes.create({ Name: "small", DriverOpts: SIZED });
  expect(Options).toEqual(SIZED);
  writeFileSync(`${Mountpoint}/f`, "kept");
  const copy = await volumes.clone("small", { Name: "copy" }, { isPaused: false });
  expect(copy.Options).toEqual(SIZED);
  expect(readFileSync(`${copy.Mountpoint}/f`, "utf8")).toBe("kept");
  const limits = calls.filter((call) => !call.startsWith("free"));
  expect(limits).toEqual([`${10 * MIB} `, `${10 * MIB} `]);
  calls = [];
  await volumes.remove("small", { force: false });
  expect(calls).toEqual(["free f"]);
  await volumes.reset();
});

test("limits of copies that were cut short, and of removed volumes, go with their directories", async () => {
  const leave = (place: string): void => {
    mkdirSync(`${root}/data/volumes/${place}/_data`, { recursive: true });
    writeFileSync(`${root}/data/volumes/${place}/_data/${basename(place)}`, "");
  };
  leave(".ingest/copy");
  leave(".removed/forgotten");
  leave("half");
  const volumes = make(noted);
  await volumes.start();
  expect(calls.toSorted()).toEqual(["free copy", "free forgotten", "free half"]);
  calls = [];
  leave(".removed/kept");
  await volumes.reset();
  expect(calls).toEqual(["free kept"]);
  expect(readdirSync(`${root}/data/volumes/.trash`)).toEqual([]);
});

test("where the file system counts no projects it is refused in Docker's words, and nothing is left", async () => {
  const unable: QuotaKernel = {
    ...noted,
    limitTree: () => {
      throw new NaruError("not_implemented", "the file system counts no projects");
    },
  };
  const volumes = make(unable);
  await volumes.start();
  const refused = volumes.create({ Name: "small", DriverOpts: SIZED });
  expect(refused).rejects.toMatchObject({ code: "invalid_argument" });
  expect(refused).rejects.toThrow("create small: quota size requested but no quota support");
  expect(volumes.list()).toEqual([]);
  expect(readdirSync(`${root}/data/volumes`)).toEqual([".trash"]);
  const odd = volumes.create({ Name: "odd", DriverOpts: { size: "many" } });
  expect(odd).rejects.toThrow("create odd: invalid size: 'many'");
});

test("the kernel's own answer for a directory without a limit of ours: there is nothing to take", () => {
  quotaKernel.unlimitTree(root);
  quotaKernel.unlimitTree(root);
});
