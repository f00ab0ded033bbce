/** `naru system reset -f`: nothing of a daemon is left, in whatever state it was. */
import { expect } from "bun:test";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";

import { cgroupsWith, findLeftovers, snapshotWorld } from "../harness/leftovers.ts";
import { must, until } from "../harness/process.ts";
import { IMAGE, openWorld, type Daemon, type Roots } from "./world.ts";

const { world, scenario, nothingIsLeft } = await openWorld();

/** One of everything that leaves something on the host. */
const populate = async (daemon: Daemon, cgroupParent: string): Promise<void> => {
  await daemon.loadImage();
  await daemon.up(
    "web",
    ["-p", "8070:80", "--restart", "always", "-v", "data:/data"],
    "httpd",
    "-f",
    "-p",
    "80",
  );
  await daemon.up("paused", ["--tmpfs", "/scratch"], "sleep", "600");
  await daemon.dockerOk("pause", "paused");
  await daemon.up(
    "elsewhere",
    ["--cgroup-parent", cgroupParent, "--init"],
    "sh",
    "-c",
    "sleep 601 & sleep 600",
  );
  await daemon.up("open", ["--privileged", "--ipc", "shareable"], "sleep", "600");
  await daemon.dockerOk(
    "exec",
    "-d",
    "open",
    "sh",
    "-c",
    "mkdir /tmp/m; mount -t tmpfs none /tmp/m; sleep 600",
  );
  await daemon.dockerOk("create", "--name", "created", IMAGE);
  await daemon.dockerOk("run", "--name", "ended", IMAGE, "true");
  await daemon.dockerOk("commit", "ended", "made");
};

const instanceOf = (roots: Roots): string =>
  readFileSync(`${roots.dataRoot}/instance`, "utf8").trim();

/** What is left of this daemon right now; the others of the file are gone by then. */
const leftOf = async (
  before: Awaited<ReturnType<typeof snapshotWorld>>,
  roots: Roots,
  cgroups: readonly string[],
): Promise<readonly string[]> => [
  ...(await findLeftovers(world.isolation, before, roots.base)),
  ...cgroupsWith(cgroups),
  ...[roots.dataRoot, roots.execRoot, roots.socketPath].filter((path) => existsSync(path)),
];

for (const state of ["running", "killed"] as const) {
  scenario(`of a ${state} daemon with containers of every kind`, async () => {
    const before = await snapshotWorld(world.isolation);
    const roots = world.roots(state);
    const daemon = await world.start(roots);
    const parent = `/naru-test-${process.pid}-${state}`;
    await populate(daemon, parent);
    const instance = `naru-${instanceOf(roots)}`;
    expect(cgroupsWith([instance]).length).toBeGreaterThan(0);
    const elsewhere = cgroupsWith([parent.slice(1)]).length;
    expect(elsewhere).toBeGreaterThan(1);
    if (state === "killed") await daemon.end("SIGKILL");
    await world.reset(roots);
    expect(await daemon.exited).toBe(state === "killed" ? 137 : 0);
    expect(await leftOf(before, roots, [instance])).toEqual([]);
    // The parent that was named is its namer's; nothing of naru is in it.
    const kept = cgroupsWith([parent.slice(1)]).map((line) => line.replace("cgroup ", ""));
    expect(kept.every((path) => path.endsWith(parent))).toBe(true);
    if (kept.length > 0) await must(["rmdir", ...kept]);
  });
}

scenario("of one whose daemon.s cgroup parent was chosen, twice in a row", async () => {
  const before = await snapshotWorld(world.isolation);
  const roots = world.roots("parent");
  const parent = `/naru-test-${process.pid}-all`;
  const daemon = await world.start(roots, { flags: ["--cgroup-parent", parent] });
  await daemon.loadImage();
  await daemon.up("one", [], "sleep", "600");
  expect(cgroupsWith([parent.slice(1)]).length).toBeGreaterThan(1);
  await daemon.end("SIGKILL");
  await world.reset(roots);
  const kept = cgroupsWith([parent.slice(1)]).map((line) => line.replace("cgroup ", ""));
  expect(kept.every((path) => path.endsWith(parent))).toBe(true);
  if (kept.length > 0) await must(["rmdir", ...kept]);
  await world.reset(roots);
  expect(await leftOf(before, roots, [])).toEqual([]);
});

scenario("of one whose database and id are torn", async () => {
  const before = await snapshotWorld(world.isolation);
  const roots = world.roots("torn");
  const daemon = await world.start(roots);
  await daemon.loadImage();
  await daemon.up("web", ["-p", "8071:80"], "httpd", "-f", "-p", "80");
  const instance = `naru-${instanceOf(roots)}`;
  await daemon.end("SIGKILL");
  for (const name of ["naru.db", "naru.db-wal"])
    writeFileSync(`${roots.dataRoot}/${name}`, "not a database");
  writeFileSync(`${roots.dataRoot}/instance`, "");
  const reset = await world.cli(["system", "reset", "-f", "--data-root", roots.dataRoot]);
  expect([reset.code, reset.stderr]).toEqual([
    0,
    expect.stringContaining("goes on without the database"),
  ]);
  expect(
    (await leftOf(before, roots, [instance])).filter((line) => line !== roots.socketPath),
  ).toEqual([]);
});

scenario(
  "of one whose data root was wiped by hand: it says so, and then starts afresh",
  async () => {
    const roots = world.roots("wiped");
    const daemon = await world.start(roots);
    await daemon.loadImage();
    await daemon.up("web", ["-p", "8072:80"], "httpd", "-f", "-p", "80");
    const instance = `naru-${instanceOf(roots)}`;
    await daemon.end("SIGKILL");
    await world.isolation.exec([
      "sh",
      "-c",
      `umount -R ${roots.dataRoot}/* 2>/dev/null; rm -rf ${roots.dataRoot}`,
    ]);
    const refused = await world.fails(roots);
    const command =
      /naru (system reset --data-root \S+ --exec-root \S+)' removes/.exec(refused.stderr)?.[1] ??
      "";
    const reset = await world.cli([...command.split(" "), "--force"]);
    expect([reset.code, reset.stderr]).toEqual([0, ""]);
    expect(cgroupsWith([instance])).toEqual([]);
    const next = await world.start(roots);
    expect(await next.dockerOk("ps", "-aq")).toBe("");
  },
);

scenario("of one on a disk of its own: the disk stays, empty", async () => {
  const roots = world.roots("disk");
  await must(["mkdir", roots.dataRoot]);
  await must([...world.isolation.enter, "mount", "-t", "tmpfs", "tmpfs", roots.dataRoot]);
  const inside = `/proc/${world.isolation.holderPid}/root${roots.dataRoot}`;
  const daemon = await world.start(roots);
  await daemon.loadImage();
  await daemon.up("one", [], "sleep", "600");
  expect(readdirSync(inside)).toContain("naru.db");
  await world.reset(roots);
  expect(readdirSync(inside)).toEqual([]);
  await must([...world.isolation.enter, "umount", roots.dataRoot]);
  await must(["rmdir", roots.dataRoot]);
  await until("its end", () => daemon.exited.then(() => true));
});

nothingIsLeft();
