/** What rm and prune took away comes back, for as long as the daemon was told to keep it. */
import { expect } from "bun:test";
import { existsSync, readdirSync } from "node:fs";

import { IMAGE, openWorld, type Daemon } from "./world.ts";
import { until } from "../harness/process.ts";

const { world, scenario, nothingIsLeft } = await openWorld();

const undoOf =
  (daemon: Daemon) =>
  async (...args: string[]) => {
    const out = await world.cli(["-H", `unix://${daemon.roots.socketPath}`, "undo", ...args]);
    return { ...out, lines: out.stdout.trim().split("\n").toSorted() };
  };

const KEEP = { flags: ["--undo-time", "1h"] };

interface Df {
  readonly LayersSize: number;
  readonly Volumes: readonly unknown[];
}

scenario(
  "volumes: the name is free at once, df does not count them, they come back as they were",
  async () => {
    const daemon = await world.start(world.roots("volumes"), KEEP);
    const undo = undoOf(daemon);
    await daemon.loadImage();
    await daemon.dockerOk("volume", "create", "--label", "a=b", "data");
    await daemon.dockerOk("run", "--rm", "-v", "data:/d", IMAGE, "sh", "-c", "echo first > /d/f");
    await daemon.dockerOk("volume", "rm", "data");
    expect(await daemon.dockerOk("volume", "ls", "-q")).toBe("");
    const df = (await daemon.api("GET", "/system/df")).json<Df>();
    expect(df.Volumes).toEqual([]);
    await daemon.dockerOk("volume", "create", "data");
    const taken = await undo("data");
    expect([taken.code, taken.stderr]).toEqual([1, expect.stringContaining("exists already")]);
    await daemon.dockerOk("volume", "rm", "data");
    const list = await undo("list", "--format", "{{.Kind}} {{.Name}} {{.Size}}");
    expect(list.stdout.split("\n").filter(Boolean)).toEqual(["volume data 0B", "volume data 6B"]);
    const host = `unix://${daemon.roots.socketPath}`;
    const told = await world.cli(["-H", host, "system", "df"]);
    expect(told.stdout).toContain("Removed, but not gone yet: 2 with 6B");
    const ids = await undo("list", "--format", "{{.ID}}");
    const first = ids.stdout.trim().split("\n")[1] ?? "";
    expect((await undo(first)).lines).toEqual(["volume data"]);
    expect(await daemon.dockerOk("volume", "inspect", "-f", "{{.Labels.a}}", "data")).toBe("b");
    expect(await daemon.dockerOk("run", "--rm", "-v", "data:/d", IMAGE, "cat", "/d/f")).toBe(
      "first",
    );
  },
);

scenario("all that one command of naru's removed is one undo", async () => {
  const daemon = await world.start(world.roots("together"), KEEP);
  const undo = undoOf(daemon);
  const naru = (...args: string[]) =>
    world.cli(["-H", `unix://${daemon.roots.socketPath}`, ...args]);
  await daemon.loadImage();
  const names = ["a1", "a2", "a3"];
  for (const name of names) await daemon.dockerOk("create", "--name", name, IMAGE, "true");
  for (const name of names) await daemon.dockerOk("volume", "create", name);
  expect((await naru("rm", ...names)).code).toBe(0);
  expect((await naru("volume", "rm", ...names)).code).toBe(0);
  expect((await undo()).lines).toEqual(["volume a1", "volume a2", "volume a3"]);
  expect((await undo()).lines).toEqual(["container a1", "container a2", "container a3"]);
  await daemon.dockerOk("tag", IMAGE, "kept:1");
  expect((await naru("system", "prune", "-af")).code).toBe(0);
  expect(await daemon.dockerOk("images", "-q")).toBe("");
  const back = (await undo()).lines;
  expect(back.slice(0, 3)).toEqual(["container a1", "container a2", "container a3"]);
  expect(back[3]).toStartWith("image ");
  // docker's own removals stay one each.
  await daemon.dockerOk("rm", "a1", "a2");
  expect((await undo()).lines.length).toBe(1);
  const bad = await daemon.api("DELETE", "/containers/a3", { headers: { "Naru-Batch": "x" } });
  expect(bad.status).toBe(400);
});

scenario("one prune is one undo, also after a kill -9", async () => {
  const roots = world.roots("prune");
  const daemon = await world.start(roots, KEEP);
  for (const name of ["one", "two"]) await daemon.dockerOk("volume", "create", name);
  await daemon.dockerOk("volume", "prune", "-af");
  expect(await daemon.dockerOk("volume", "ls", "-q")).toBe("");
  await daemon.end("SIGKILL");
  const next = await world.start(roots, KEEP);
  expect((await undoOf(next)()).lines).toEqual(["volume one", "volume two"]);
  expect((await next.dockerOk("volume", "ls", "-q")).split("\n").toSorted()).toEqual([
    "one",
    "two",
  ]);
  const none = await undoOf(next)();
  expect([none.code, none.stderr]).toEqual([1, expect.stringContaining("nothing was removed")]);
});

scenario("a container comes back with its files, its logs and its anonymous volumes", async () => {
  const roots = world.roots("container");
  const daemon = await world.start(roots, KEEP);
  await daemon.loadImage();
  const script = "echo said; echo own > /own; [ -e /v/f ] || echo volume > /v/f; exec sleep 600";
  await daemon.up("box", ["-v", "/v", "-e", "A=b"], "sh", "-c", script);
  await until("its output", async () =>
    (await daemon.docker("logs", "box")).stdout.includes("said"),
  );
  await daemon.dockerOk("rm", "-fv", "box");
  expect(await daemon.dockerOk("ps", "-aq")).toBe("");
  expect(await daemon.dockerOk("volume", "ls", "-q")).toBe("");
  await daemon.up("box", [], "sleep", "600");
  expect((await undoOf(daemon)("box")).stderr).toContain("already in use");
  await daemon.end("SIGKILL");
  const next = await world.start(roots, KEEP);
  await next.dockerOk("rename", "box", "other");
  expect((await undoOf(next)("box")).lines[0]).toBe("container box");
  expect(await next.dockerOk("logs", "box")).toBe("said");
  expect((await next.state("box"))?.Status).toBe("exited");
  await next.dockerOk("start", "box");
  expect(await next.dockerOk("exec", "box", "cat", "/own", "/v/f")).toBe("own\nvolume");
  await next.dockerOk("rm", "-fv", "box", "other");
});

scenario("an image comes back with its names; its layers were there all the time", async () => {
  const roots = world.roots("image");
  const daemon = await world.start(roots, KEEP);
  await daemon.loadImage();
  await daemon.dockerOk("tag", IMAGE, "second:name");
  const id = await daemon.dockerOk("image", "inspect", "-f", "{{.Id}}", IMAGE);
  const removed = await daemon.dockerOk("rmi", "-f", id);
  expect(removed).toContain(`Deleted: ${id}`);
  expect(await daemon.dockerOk("images", "-q")).toBe("");
  expect((await daemon.api("GET", "/system/df")).json<Df>().LayersSize).toBe(0);
  await daemon.end("SIGKILL");
  const next = await world.start(roots, KEEP);
  expect((await undoOf(next)("second:name")).code + (await undoOf(next)()).code).toBe(1);
  const names = await next.dockerOk("image", "inspect", "-f", "{{json .RepoTags}}", id);
  expect(JSON.parse(names).toSorted()).toEqual([IMAGE, "second:name"]);
  expect(await next.dockerOk("run", "--rm", IMAGE, "echo", "runs")).toBe("runs");
});

scenario("container and image removed, the image first brought back", async () => {
  const daemon = await world.start(world.roots("both"), KEEP);
  await daemon.loadImage();
  await daemon.up("box", [], "sh", "-c", "echo own > /own");
  await daemon.dockerOk("wait", "box");
  await daemon.dockerOk("rm", "box");
  await daemon.dockerOk("rmi", IMAGE);
  expect((await undoOf(daemon)()).lines).toEqual([`image ${IMAGE}`]);
  expect((await undoOf(daemon)()).lines).toEqual(["container box"]);
  expect(await daemon.dockerOk("diff", "box")).toBe("A /own");
});

scenario("over its time, or emptied: gone for good, with the files", async () => {
  const roots = world.roots("time");
  const daemon = await world.start(roots, KEEP);
  await daemon.loadImage();
  await daemon.up("box", ["-v", "/v"], "true");
  await daemon.dockerOk("wait", "box");
  await daemon.dockerOk("rm", "-v", "box");
  await daemon.dockerOk("rmi", IMAGE);
  expect((await undoOf(daemon)("empty")).stdout).toMatch(/^Removed for good: 3, /);
  const isEmpty = (): boolean =>
    ["volumes/.removed", "volumes/.trash", "snapshots/active", "snapshots/layers", "containers"]
      .map((folder) => `${roots.dataRoot}/${folder}`)
      .every((path) => !existsSync(path) || readdirSync(path).length === 0);
  await until("no files are left", isEmpty);
  await daemon.dockerOk("volume", "create", "late");
  await daemon.dockerOk("volume", "rm", "late");
  await daemon.end("SIGTERM");
  // A daemon that keeps nothing keeps nothing of its predecessor either.
  const next = await world.start(roots);
  await until("the predecessor's trash is gone", isEmpty);
  expect((await undoOf(next)("list", "--format", "{{.Name}}")).stdout.trim()).toBe("");
});

scenario(
  "off, which it is unless asked for: rm is rm; --rm keeps nothing in any case",
  async () => {
    const off = await world.start(world.roots("off"));
    await off.dockerOk("volume", "create", "data");
    await off.dockerOk("volume", "rm", "data");
    const out = await undoOf(off)();
    expect([out.code, out.stderr]).toEqual([1, expect.stringContaining('"undo-time"')]);
    const on = await world.start(world.roots("on"), KEEP);
    await on.loadImage();
    await on.dockerOk("run", "--rm", "-v", "/v", IMAGE, "true");
    expect((await undoOf(on)()).stderr).toContain("nothing was removed");
    const wrong = await world.fails(world.roots("wrong"), { flags: ["--undo-time", "soon"] });
    expect(wrong.stderr).toContain("undo-time");
  },
);

nothingIsLeft();
