/** A repair that is killed while it fetches an image again: the image's names are what they were. */
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "bun:test";

import { startRegistry } from "./registry.ts";
import { withWorld, type CrashWorld } from "./world.ts";

const entriesOf = (directory: string): string[] =>
  readdirSync(directory).map((name) => join(directory, name));

interface Inspected {
  readonly Id: string;
  readonly RepoTags: readonly string[];
  readonly RepoDigests: readonly string[];
}

const inspect = async (w: CrashWorld, name: string): Promise<Inspected> => {
  const reply = await w.api("GET", `/images/${name}/json`);
  expect(reply.status).toBe(200);
  const { Id, RepoTags, RepoDigests } = reply.json<Inspected>();
  return { Id, RepoTags, RepoDigests };
};

test("killed while system check --repair fetches an image: no name of it is lost", async () => {
  await withWorld(async (w) => {
    const { dataRoot } = w.roots;
    const blobs = join(dataRoot, "content/blobs/sha256");
    const layers = join(dataRoot, "snapshots/layers");
    const registry = await startRegistry(w);
    await using _registry = { [Symbol.asyncDispose]: () => registry.stop() };
    const before = new Set([...entriesOf(blobs), ...entriesOf(layers)]);
    const path = `/images/create?fromImage=${registry.host}/crash/image&tag=1`;
    expect((await w.api("POST", path)).status).toBe(200);
    const name = `${registry.host}/crash/image:1`;
    const pulled = await inspect(w, name);
    expect(pulled.RepoDigests.length).toBe(1);
    await w.stop();
    const arrived = [...entriesOf(blobs), ...entriesOf(layers)].filter((one) => !before.has(one));
    expect(arrived.length).toBeGreaterThan(1);
    for (const one of arrived) rmSync(one, { recursive: true });

    await w.start("pull.before-layer");
    await w.attempt("POST", "/naru/system/check?repair=1");
    await w.died();
    await w.start();
    expect(await inspect(w, name)).toEqual(pulled);

    const repair = await w.api("POST", "/naru/system/check?repair=1");
    expect(repair.text).toContain(`"outcome":"repaired"`);
    expect(await inspect(w, name)).toEqual(pulled);
    const out = await w.cli("run", "--rm", name, "echo", "from it");
    expect([out.code, out.stdout]).toEqual([0, "from it\n"]);
    expect((await w.api("DELETE", `/images/${name}`)).status).toBe(200);
  });
}, 400_000);
