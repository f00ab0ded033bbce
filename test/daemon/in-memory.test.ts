/** What lives as long as containers do is in memory, wherever the exec root is, and goes when nobody needs it. */
import { expect } from "bun:test";
import { existsSync, statfsSync } from "node:fs";

import { run } from "../harness/process.ts";
import { type Roots, openWorld } from "./world.ts";

const { world, scenario, nothingIsLeft } = await openWorld();

/** Names below the exec root that a tmpfs is mounted on, as the daemons' world sees it. */
const inMemory = async ({ execRoot }: Roots): Promise<string[]> => {
  const command = [...world.isolation.enter, "cat", "/proc/self/mounts"];
  const { stdout } = await run(command, { timeoutMs: 60_000 });
  return stdout
    .split("\n")
    .map((line) => line.split(" "))
    .filter(([, path, type]) => type === "tmpfs" && path?.startsWith(`${execRoot}/`) === true)
    .map(([, path = ""]) => path.slice(execRoot.length + 1))
    .toSorted();
};

const TMPFS = 0x01021994;
const isInMemory = statfsSync(world.base).type === TMPFS;
const ALL = isInMemory ? [] : ["build", "bundles", "netns", "runtime"];

scenario(
  "mounts stay for containers, through a kill and a stop, and go with the last",
  async () => {
    const roots = world.roots("memory");
    let daemon = await world.start(roots);
    await daemon.loadImage();
    expect(await inMemory(roots)).toEqual(ALL);
    await daemon.up("lives", [], "sleep", "600");
    const { Pid } = (await daemon.state("lives")) ?? {};
    for (const signal of ["SIGKILL", "SIGTERM"] as const) {
      await daemon.end(signal);
      expect(await inMemory(roots)).toEqual(ALL);
      daemon = await world.start(roots);
      expect(await inMemory(roots)).toEqual(ALL);
      expect((await daemon.state("lives"))?.Pid).toBe(Pid);
      expect(await daemon.dockerOk("exec", "lives", "echo", "there")).toBe("there");
    }
    await daemon.dockerOk("rm", "-f", "lives");
    expect(await daemon.end("SIGTERM")).toBe(0);
    expect(await inMemory(roots)).toEqual([]);
    await world.reset(roots);
    expect(existsSync(roots.execRoot)).toBe(false);
  },
);

scenario("reset takes the mounts of a killed daemon away, and its containers", async () => {
  const roots = world.roots("memory-reset");
  const daemon = await world.start(roots);
  await daemon.loadImage();
  await daemon.up("lives", [], "sleep", "600");
  await daemon.end("SIGKILL");
  await world.reset(roots);
  expect(await inMemory(roots)).toEqual([]);
  expect(existsSync(roots.execRoot)).toBe(false);
});

nothingIsLeft();
