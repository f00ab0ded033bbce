/** What the build cache holds, and each way of taking some of it away. */
import { expect } from "bun:test";
import { statfsSync } from "node:fs";

import { hasBuildx } from "../harness/buildx-client.ts";
import { buildWorld } from "./build-world.ts";
import { type Daemon, IMAGE, openWorld } from "./world.ts";

const { world, scenario, nothingIsLeft } = await openWorld();
const { engine, folder, buildx, build } = buildWorld(world);

interface Item {
  readonly ID: string;
  readonly Parents?: readonly string[];
  readonly Type: string;
  readonly Description: string;
  readonly Shared: boolean;
  readonly Size: number;
}

const items = async (daemon: Daemon): Promise<readonly Item[]> => {
  const { text } = await daemon.api("GET", "/system/df?type=build-cache");
  return (JSON.parse(text) as { BuildCache: Item[] | null }).BuildCache ?? [];
};

const prune = async (
  daemon: Daemon,
  filters: Readonly<Record<string, readonly string[]>>,
  query = "",
): Promise<readonly string[]> => {
  const encoded = encodeURIComponent(JSON.stringify(filters));
  const { status, text } = await daemon.api("POST", `/build/prune?filters=${encoded}${query}`);
  expect(status, text).toBe(200);
  return (JSON.parse(text) as { CachesDeleted: string[] | null }).CachesDeleted ?? [];
};

const found = async (daemon: Daemon, description: string): Promise<Item> => {
  const item = (await items(daemon)).find((one) => one.Description.includes(description));
  if (item === undefined) throw new Error(`nothing in the cache has "${description}"`);
  return item;
};

if (hasBuildx) {
  scenario(
    "the classic endpoint's filters, one by one",
    async () => {
      const one = await engine("filters");
      const text = (more: string): string =>
        `FROM ${IMAGE}\nRUN echo first > /f\nRUN --mount=type=cache,id=kept,target=/c echo ${more} > /c/f; echo ${more} > /s\n`;
      await build(one, folder("prune-a", { Dockerfile: text("second") }));
      await build(
        one,
        "-t",
        "kept:1",
        folder("prune-b", { Dockerfile: `FROM ${IMAGE}\nRUN echo kept > /k\n` }),
      );
      const all = await items(one);
      expect(await prune(one, { until: ["24h"] })).toEqual([]);
      expect(await prune(one, { label: ["a=b"] })).toEqual([]);
      expect(await prune(one, { description: ["no such words"] })).toEqual([]);
      expect(await prune(one, { inuse: ["true"] })).toEqual([]);
      // Images stand on it: only with "all".
      expect((await found(one, "echo kept")).Shared).toBe(true);
      expect(await prune(one, { shared: ["true"] })).toEqual([]);
      await one.dockerOk("image", "prune", "-f");
      const first = await found(one, "echo first");
      const second = await found(one, "echo second");
      expect(second.Parents).toEqual([first.ID]);
      expect(await prune(one, { parent: [first.ID] })).toEqual([second.ID]);
      expect(await prune(one, { id: [first.ID] })).toEqual([first.ID]);
      const mount = all.find(({ Type }) => Type === "exec.cachemount");
      expect(await prune(one, { type: ["exec.cachemount"] })).toEqual([mount?.ID ?? ""]);
      expect((await prune(one, { shared: ["true"] }, "&all=1")).length).toBeGreaterThan(0);
      await one.dockerOk("run", "--rm", "kept:1", "cat", "/k");
      await build(one, folder("prune-a", { Dockerfile: text("third") }));
      await one.dockerOk("image", "prune", "-f");
      const third = await found(one, "echo third");
      expect(await prune(one, { description: [third.Description] })).toEqual([third.ID]);
      expect((await prune(one, { private: ["true"] })).length).toBeGreaterThan(0);
    },
    120_000,
  );

  scenario(
    "so much may stay, so much shall be free",
    async () => {
      const one = await engine("space");
      const text = (count: number): string =>
        `FROM ${IMAGE}\n${Array.from({ length: count }, (_, index) => `RUN dd if=/dev/urandom of=/f bs=1024 count=512 2>/dev/null; echo ${index}\n`).join("")}`;
      const make = () => build(one, "--no-cache", folder("prune-space", { Dockerfile: text(4) }));
      const used = async (): Promise<number> =>
        (await items(one)).reduce((sum, { Shared, Size }) => sum + (Shared ? 0 : Size), 0);
      const step = 512 * 1024;
      await make();
      await one.dockerOk("image", "prune", "-f");
      expect(await used()).toBeGreaterThan(4 * step);
      expect(await prune(one, {}, `&reserved-space=${100 * step}`)).toEqual([]);
      expect(await prune(one, {}, `&min-free-space=1`)).toEqual([]);
      const before = await used();
      expect((await prune(one, {}, `&max-used-space=${2 * step}`)).length).toBeGreaterThan(0);
      const after = await used();
      expect(after).toBeLessThan(before);
      expect(after).toBeLessThanOrEqual(2 * step);
      // More than the disk has: all goes but what is reserved.
      const { blocks, bsize } = statfsSync(world.base);
      const whole = 2 * blocks * bsize;
      expect(await prune(one, {}, `&min-free-space=${whole}&reserved-space=${100 * step}`)).toEqual(
        [],
      );
      expect((await prune(one, {}, `&min-free-space=${whole}`)).length).toBeGreaterThan(0);
      expect(await used()).toBe(0);
    },
    120_000,
  );

  scenario(
    "buildx prune by filters and limits",
    async () => {
      const one = await engine("buildx-prune");
      const context = folder("prune-buildx", {
        Dockerfile: `FROM ${IMAGE}\nRUN echo alone > /f\n`,
      });
      await build(one, context);
      await one.dockerOk("image", "prune", "-f");
      const go = (...args: string[]) => buildx(one, "prune", "-f", ...args);
      const has = async (): Promise<boolean> =>
        (await items(one)).some(({ Description }) => Description.includes("echo alone"));
      await go("--filter", "until=24h");
      await go("--filter", "inuse=true");
      await go("--filter", "description=nothing");
      await go("--filter", "type=exec.cachemount");
      await go("--reserved-space", "1gb");
      await go("--min-free-space", "1b");
      await go("--max-used-space", "1gb");
      expect(await has()).toBe(true);
      await go("--filter", `id=${(await found(one, "echo alone")).ID}`);
      expect(await has()).toBe(false);
      await build(one, context);
      await go("--all");
      expect(await has()).toBe(false);
      const refused = go("--filter", "color=red");
      expect(await refused.then(() => "pruned", String)).toContain("color");
    },
    120_000,
  );
}

nothingIsLeft();
