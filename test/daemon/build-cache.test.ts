/** Build caches that go from one machine to another: by a registry, a directory, an image. */
import { expect } from "bun:test";
import { readdirSync } from "node:fs";

import { hasBuildx } from "../harness/buildx-client.ts";
import { buildWorld } from "./build-world.ts";
import { type Daemon, IMAGE, openWorld } from "./world.ts";

const { world, scenario, nothingIsLeft } = await openWorld();

const { registry, withRegistry, engine, folder, build } = buildWorld(world);

const DOCKERFILE = `FROM ${IMAGE} AS tool
RUN head -c 16 /dev/urandom > /tool
FROM ${IMAGE}
ENV A=1
WORKDIR /w
COPY a .
COPY --from=tool /tool .
RUN head -c 16 /dev/urandom > when
COPY --link b /linked/
`;

const idOf = (daemon: Daemon, name: string): Promise<string> =>
  daemon.dockerOk("image", "inspect", "-f", "{{.Id}}", name);
const cached = (said: string): number => said.match(/ CACHED/g)?.length ?? 0;

if (hasBuildx) {
  scenario(
    "a cache in a registry makes the same image on another machine",
    async () => {
      await using _registry = await withRegistry();
      const context = folder("registry-context", { Dockerfile: DOCKERFILE, a: "a", b: "b" });
      const giver = await engine("giver");
      const ref = `${registry}/cache/app:1`;
      const to = (mode: string, tag: string) =>
        `type=registry,ref=${registry}/cache/app:${tag},mode=${mode}`;
      await build(giver, "-t", "app:1", "--cache-to", to("max", "1"), context);
      await build(giver, "-t", "app:1", "--cache-to", to("min", "min"), context);
      await build(
        giver,
        "-t",
        "app:1",
        "--cache-to",
        `${to("max", "old")},image-manifest=false`,
        context,
      );

      const taker = await engine("taker");
      const from = `type=registry,ref=${ref}`;
      const said = await build(taker, "-t", "app:1", "--cache-from", from, context);
      expect(said).toContain(`importing cache manifest from ${ref}`);
      expect(cached(said)).toBe(6);
      expect(await idOf(taker, "app:1")).toBe(await idOf(giver, "app:1"));
      const files = "sha256sum /w/* /linked/b";
      expect(await taker.dockerOk("run", "--rm", "app:1", "sh", "-c", files)).toBe(
        await giver.dockerOk("run", "--rm", "app:1", "sh", "-c", files),
      );
      // What was taken over is in the machine's own cache from now on.
      expect(cached(await build(taker, "-t", "app:1", context))).toBe(6);

      const other = await engine("other");
      const old = `type=registry,ref=${registry}/cache/app:old`;
      const changed = folder("changed", { Dockerfile: DOCKERFILE, a: "a", b: "other" });
      expect(cached(await build(other, "-t", "app:1", "--cache-from", old, changed))).toBe(5);

      // mode=min: the stage that was only copied from has to run, and gives other files here.
      const least = await engine("least");
      const min = `type=registry,ref=${registry}/cache/app:min`;
      const few = await build(least, "-t", "app:1", "--cache-from", min, context);
      expect(cached(few)).toBe(3);

      const missing = `type=registry,ref=${registry}/cache/none:1`;
      const without = await build(taker, "--cache-from", missing, context);
      expect(without).toMatch(/importing cache manifest from \S+none:1\n#\d+ ERROR: /);
    },
    300_000,
  );

  scenario(
    "a cache in a directory, and one in an image",
    async () => {
      await using _registry = await withRegistry();
      const context = folder("local-context", { Dockerfile: DOCKERFILE, a: "a", b: "b" });
      const giver = await engine("local-giver");
      const directory = `${world.base}/layout`;
      const to = `type=local,dest=${directory},mode=max,compression=zstd`;
      await build(giver, "-t", "app:1", "--cache-to", to, context);
      expect(readdirSync(directory).toSorted()).toEqual([
        "blobs",
        "index.json",
        "ingest",
        "oci-layout",
      ]);
      const taker = await engine("local-taker");
      const from = `type=local,src=${directory}`;
      expect(cached(await build(taker, "-t", "app:1", "--cache-from", from, context))).toBe(6);
      expect(await idOf(taker, "app:1")).toBe(await idOf(giver, "app:1"));

      const name = `${registry}/team/app:1`;
      await build(giver, "-t", name, "--push", "--cache-to", "type=inline", context);
      const inline = await engine("inline-taker");
      const said = await build(
        inline,
        "-t",
        name,
        "--cache-from",
        name,
        "--cache-to",
        "type=inline",
        context,
      );
      expect(cached(said)).toBe(3);
      // The classic builder's way: an image that is here, by its history.
      const classic = await engine("classic-taker");
      const plain = folder("plain", {
        Dockerfile: `FROM ${IMAGE}\nENV A=1\nCOPY a /a\nRUN date +%N > /when\nCMD ["cat", "/when"]\n`,
        a: "a",
      });
      const give = ["-t", `${registry}/team/plain:1`, plain];
      await giver.dockerOk("build", ...give);
      await giver.dockerOk("push", `${registry}/team/plain:1`);
      await classic.dockerOk("pull", `${registry}/team/plain:1`);
      const again = await classic.dockerOk(
        "build",
        "--cache-from",
        `${registry}/team/plain:1`,
        "-t",
        "again:1",
        plain,
      );
      expect(again.match(/Using cache/g)).toHaveLength(4);
      expect(await idOf(classic, "again:1")).toBe(await idOf(giver, `${registry}/team/plain:1`));
    },
    300_000,
  );
}

scenario(
  "naru build takes and gives caches: a registry, a directory of the client, inside the image",
  async () => {
    await using _registry = await withRegistry();
    const context = folder("own-context", { Dockerfile: DOCKERFILE, a: "a", b: "b" });
    const own = async (daemon: Daemon, ...args: string[]): Promise<string> => {
      const env = { NARU_HOST: `unix://${daemon.roots.socketPath}` };
      const out = await world.cli(["build", "--progress", "plain", "-t", "own:1", ...args], env);
      if (out.code !== 0) throw new Error(out.stdout + out.stderr);
      return out.stdout + out.stderr;
    };
    const hits = (said: string): number => said.match(/CACHED/gi)?.length ?? 0;
    const giver = await engine("own-giver");
    const layout = `${world.base}/own-layout`;
    const ref = `${registry}/own/cache:1`;
    const to = ["--cache-to", `type=local,dest=${layout},mode=max`];
    await own(giver, ...to, "--cache-to", `type=registry,ref=${ref},mode=max`, context);
    const whole = hits(await own(giver, context));
    const id = await idOf(giver, "own:1");
    for (const from of [`type=local,src=${layout}`, ref]) {
      const taker = await engine(`own-${from.replaceAll(/\W/g, "-").slice(0, 20)}`);
      const said = await own(taker, "--cache-from", from, context);
      expect(said).toMatch(/cache from \S+: \d+ steps/);
      expect(hits(said)).toBe(whole);
      expect(await idOf(taker, "own:1")).toBe(id);
    }
    await own(giver, "--cache-to", "type=inline", context);
    await giver.dockerOk("tag", "own:1", `${registry}/own/app:1`);
    await giver.dockerOk("push", `${registry}/own/app:1`);
    const inline = await engine("own-inline");
    const said = await own(inline, "--cache-from", `${registry}/own/app:1`, context);
    expect(hits(said)).toBeGreaterThan(3);
    const none = await own(inline, "--cache-from", `${registry}/own/none:1`, context);
    expect(none).toMatch(/cache from \S+none:1: .*(unknown|not found)/i);
    const refused = own(inline, "--cache-to", "type=gha", context);
    expect(refused).rejects.toThrow('cache export "gha" is not supported by naru');
    await refused.catch(() => undefined);
  },
  300_000,
);

nothingIsLeft();
