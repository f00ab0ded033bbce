/** --disk-budget: the least recently used goes, what is used or to be kept stays, and it is said. */
import { expect } from "bun:test";

import { until } from "../harness/process.ts";
import { BUSYBOX_CONFIG, busyboxRoot, dockerArchive } from "../harness/images.ts";
import { writeTar } from "../harness/tar.ts";
import { openWorld, type Daemon } from "./world.ts";

const { world, scenario, nothingIsLeft } = await openWorld();

const MIB = 1 << 20;

/** An image with a layer of its own of `mib`. */
const load = async (daemon: Daemon, name: string, mib: number): Promise<void> => {
  const own = writeTar([{ name: "own", body: Buffer.alloc(mib * MIB, name) }]);
  const raw = dockerArchive([name], [writeTar(await busyboxRoot()), own], BUSYBOX_CONFIG);
  const reply = await daemon.api("POST", "/images/load?quiet=1", { raw });
  expect(reply.status).toBe(200);
};

const namesOf = async (daemon: Daemon): Promise<string[]> =>
  (await daemon.dockerOk("images", "--format", "{{.Repository}}")).split("\n").toSorted();

/** Bytes on disk below these directories. */
const diskUsed = (...directories: string[]): number =>
  Bun.spawnSync(["du", "-sb", ...directories])
    .stdout.toString()
    .split("\n")
    .reduce((sum, line) => sum + Number(line.split("\t")[0]), 0);

scenario(
  "over the budget: trash and unused images go, oldest first; used and kept ones stay",
  async () => {
    const roots = world.roots("budget");
    const undo = ["--undo-time", "1h"];
    // Layers that are mounted from their blobs would take half.
    const daemon = await world.start(roots, { flags: [...undo, "--layer-form", "directory"] });
    for (const name of ["thrown", "used", "kept", "old", "young"]) await load(daemon, name, 8);
    await daemon.dockerOk("create", "--name", "box", "used", "true");
    await daemon.dockerOk("rmi", "thrown");
    await daemon.end("SIGTERM");
    // Room for three of the five, and what they share. What one takes depends on how the kernel mounts layers.
    const taken = diskUsed(`${roots.dataRoot}/content`, `${roots.dataRoot}/snapshots`);
    const budget = `${Math.round((taken * 0.75) / 1e6)}MB`;
    const flags = [...undo, "--disk-budget", budget, "--disk-budget-keep", "kept"];
    const next = await world.start(roots, { flags });
    await until("old is gone", async () => !(await namesOf(next)).includes("old"));
    await Bun.sleep(500);
    expect(await namesOf(next)).toEqual(["kept", "used", "young"]);
    const list = await world.cli([
      "-H",
      `unix://${roots.socketPath}`,
      "undo",
      "list",
      "--format",
      "x",
    ]);
    expect(list.stdout.trim()).toBe("");
    expect(next.log()).toMatch(
      /the disk budget removed image "old:latest".*the disk budget is 0\.\d+ GB/,
    );
    const events = await next.dockerOk(
      "events",
      "--since",
      "1h",
      "--until",
      // Whole seconds: the one that runs has to be over.
      String(Math.floor(Date.now() / 1000) + 1),
      "--format",
      "{{json .}}",
    );
    expect(events).toContain('"Action":"disk-budget"');
    await next.end("SIGTERM");
    // Nothing can go any more: it says so, and serves.
    const tight = await world.start(roots, {
      flags: [...flags.slice(0, -4), "--disk-budget", "1MB", "--disk-budget-keep", "kept"],
    });
    await until("it says so", () =>
      tight.log().includes("everything that is left is in use or kept"),
    );
    expect(await namesOf(tight)).toEqual(["kept", "used"]);
  },
);

scenario("a budget that is no size is refused", async () => {
  const wrong = await world.fails(world.roots("wrong"), { flags: ["--disk-budget", "much"] });
  expect(wrong.stderr).toContain("disk-budget");
});

scenario("logs of containers count, though none of them goes", async () => {
  const roots = world.roots("logs");
  const daemon = await world.start(roots);
  for (const name of ["idle", "talks"]) await load(daemon, name, 4);
  // Chance does not shrink when a rotated log is compressed.
  await daemon.dockerOk(
    "run",
    "-d",
    "--name",
    "box",
    "talks",
    "sh",
    "-c",
    "head -c 22000000 /dev/urandom | base64",
  );
  await daemon.dockerOk("wait", "box");
  await daemon.end("SIGTERM");
  // Two images of 5 to 10 MB are under it; with the log, 22 MB of chance at the least however it is kept, they are over.
  const next = await world.start(roots, { flags: ["--disk-budget", "27MB"] });
  await until("idle is gone", async () => !(await namesOf(next)).includes("idle"));
  expect((await next.dockerOk("logs", "box")).length).toBeGreaterThan(19_000_000);
});

nothingIsLeft();
