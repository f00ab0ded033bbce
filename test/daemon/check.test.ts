/** `naru system check`: what the disk did to blobs and layers is found, and repaired where it can be. */
import { expect } from "bun:test";
import {
  appendFileSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";

import { startRegistry } from "../crash/registry.ts";
import { until } from "../harness/process.ts";
import { IMAGE, openWorld, type Daemon } from "./world.ts";

const { world, scenario, nothingIsLeft } = await openWorld();

const checkOf =
  (daemon: Daemon) =>
  async (...flags: string[]) => {
    const host = `unix://${daemon.roots.socketPath}`;
    const out = await world.cli(["-H", host, "system", "check", ...flags]);
    return { code: out.code, lines: out.stdout.trim().split("\n"), stderr: out.stderr };
  };

/** Once they are whole. That one is on disk is written into its directory half a minute later. */
const layersOf = async (daemon: Daemon): Promise<string[]> => {
  const folder = `${daemon.roots.dataRoot}/snapshots/layers`;
  const isWhole = (name: string): boolean =>
    !readdirSync(`${folder}/${name}`).some((file) => file.endsWith(".tmp"));
  await until("layers on disk", () => readdirSync(folder).every(isWhole));
  return readdirSync(folder).map((name) => {
    const files = readdirSync(`${folder}/${name}`);
    return `${folder}/${name}/${files.includes("diff") ? "diff" : "layer.erofs"}`;
  });
};

const blobsOf = (daemon: Daemon): string[] => {
  const folder = `${daemon.roots.dataRoot}/content/blobs/sha256`;
  return readdirSync(folder).map((name) => `${folder}/${name}`);
};

const largest = (paths: readonly string[]): string =>
  paths.toSorted((a, b) => statSync(b).size - statSync(a).size)[0] ?? "";

scenario("all is well: nothing to tell, exit 0; also with a layer that was made here", async () => {
  const daemon = await world.start(world.roots("well"));
  await daemon.loadImage();
  await daemon.up("box", [], "sh", "-c", "echo own > /own; rm /etc/passwd");
  await daemon.dockerOk("wait", "box");
  await daemon.dockerOk("commit", "box", "made:here");
  const { code, lines, stderr } = await checkOf(daemon)();
  expect([code, lines.length, stderr]).toEqual([0, 1, ""]);
  expect(lines[0]).toMatch(/^Checked \d+: 0 problems, 0 left$/);
});

scenario(
  "a file of a layer was changed: found, left while it runs, repaired from the blob",
  async () => {
    const daemon = await world.start(world.roots("layer"), {
      flags: ["--layer-form", "directory"],
    });
    const check = checkOf(daemon);
    await daemon.loadImage();
    const [layer = ""] = await layersOf(daemon);
    writeFileSync(`${layer}/etc/planted`, "not of the image");
    const found = await check();
    expect(found.code).toBe(1);
    expect(found.lines[0]).toMatch(
      /^layer sha256:\w+: its files are not those of its tar.*\(left\)$/,
    );
    await daemon.up("box", [], "sleep", "600");
    const running = await check("--repair");
    expect(running.lines[0]).toContain("stop the containers that run on it");
    await daemon.dockerOk("rm", "-f", "box");
    const repaired = await check("--repair");
    expect([repaired.code, repaired.lines[0]]).toEqual([0, expect.stringContaining("(repaired)")]);
    expect((await check()).lines[0]).toContain(": 0 problems");
    const out = await daemon.dockerOk(
      "run",
      "--rm",
      IMAGE,
      "sh",
      "-c",
      "ls /etc/planted || echo gone",
    );
    expect(out).toBe("gone");
  },
);

scenario("the index of a layer was changed: found, and made again from the blob", async () => {
  const daemon = await world.start(world.roots("index"));
  const check = checkOf(daemon);
  await daemon.loadImage();
  const [index = ""] = (await layersOf(daemon)).filter((path) => path.endsWith(".erofs"));
  if (index === "") return; // This kernel mounts no tars: layers are directories.
  const bytes = readFileSync(index);
  bytes.writeUInt8(bytes.readUInt8(1500) ^ 1, 1500);
  writeFileSync(index, bytes);
  const found = await check();
  expect(found.code).toBe(1);
  expect(found.lines[0]).toMatch(
    /^layer sha256:\w+: its files are not those of its tar.*\(left\)$/,
  );
  const repaired = await check("--repair");
  expect([repaired.code, repaired.lines[0]]).toEqual([0, expect.stringContaining("(repaired)")]);
  expect((await check()).lines[0]).toContain(": 0 problems");
  expect(await daemon.dockerOk("run", "--rm", IMAGE, "echo", "runs")).toBe("runs");
});

scenario(
  "a blob was changed: found, never sent on; removed by repair, the image still runs",
  async () => {
    const daemon = await world.start(world.roots("blob"));
    const check = checkOf(daemon);
    await daemon.loadImage();
    const blob = largest(blobsOf(daemon));
    appendFileSync(blob, "x");
    const found = await check();
    expect([found.code, found.lines[0]]).toEqual([
      1,
      expect.stringMatching(/^blob sha256:\w+: its bytes are not those of its digest \(left\)$/),
    ]);
    const repaired = await check("--repair");
    expect(repaired.lines[0]).toContain("(removed)");
    expect(await daemon.dockerOk("run", "--rm", IMAGE, "echo", "runs")).toBe("runs");
    expect((await check()).lines.at(-1)).not.toContain("blob");
  },
);

scenario(
  "a layer's directory is gone: the image says so after a restart, and comes from its blob",
  async () => {
    const roots = world.roots("gone");
    const daemon = await world.start(roots);
    await daemon.loadImage();
    for (const layer of await layersOf(daemon)) rmSync(layer, { recursive: true });
    const found = await checkOf(daemon)();
    expect(found.code).toBe(1);
    const repaired = await checkOf(daemon)("--repair");
    expect([repaired.code, repaired.stderr]).toEqual([0, ""]);
    expect(await daemon.dockerOk("run", "--rm", IMAGE, "echo", "runs")).toBe("runs");
  },
);

scenario(
  "layers and blobs are gone: the image is fetched again from where it came from",
  async () => {
    const registry = await startRegistry({ world: world.isolation });
    try {
      const roots = world.roots("fetch");
      const daemon = await world.start(roots);
      const name = `${registry.host}/crash/image:1`;
      await daemon.dockerOk("pull", name);
      for (const layer of await layersOf(daemon)) rmSync(dirname(layer), { recursive: true });
      for (const blob of blobsOf(daemon)) rmSync(blob);
      await daemon.end("SIGTERM");
      const next = await world.start(roots);
      const found = await checkOf(next)();
      expect([found.code, found.lines[0]]).toEqual([
        1,
        `image ${name}: 2 of its 2 layers are gone (left)`,
      ]);
      const repaired = await checkOf(next)("--repair");
      expect([repaired.code, repaired.lines[0]]).toEqual([
        0,
        expect.stringContaining("(repaired)"),
      ]);
      expect(await next.dockerOk("run", "--rm", name, "echo", "runs")).toBe("runs");
      expect((await checkOf(next)()).lines).toEqual([
        expect.stringContaining(": 0 problems, 0 left"),
      ]);
    } finally {
      await registry.stop();
    }
  },
);

scenario(
  "a layer was changed and its blob is gone: the blob is fetched again, and the layer made of it",
  async () => {
    const registry = await startRegistry({ world: world.isolation });
    try {
      const daemon = await world.start(world.roots("again"));
      const check = checkOf(daemon);
      const name = `${registry.host}/crash/image:1`;
      await daemon.dockerOk("pull", name);
      const [layer = ""] = await layersOf(daemon);
      if (layer.endsWith(".erofs")) {
        const bytes = readFileSync(layer);
        bytes.writeUInt8(bytes.readUInt8(1500) ^ 1, 1500);
        writeFileSync(layer, bytes);
      } else writeFileSync(`${layer}/planted`, "not of the image");
      for (const blob of blobsOf(daemon)) rmSync(blob);
      expect((await check()).lines[0]).toMatch(/its files are not those of its tar \(left\)$/);
      const repaired = await check("--repair");
      expect([repaired.code, repaired.lines[0]]).toEqual([
        0,
        expect.stringMatching(/its files are not those of its tar \(repaired\)$/),
      ]);
      expect((await check()).lines).toEqual([expect.stringContaining(": 0 problems, 0 left")]);
      expect(await daemon.dockerOk("run", "--rm", name, "echo", "runs")).toBe("runs");
    } finally {
      await registry.stop();
    }
  },
);

scenario("a layer's files went away under the engine: it is made again from its blob", async () => {
  const daemon = await world.start(world.roots("away"));
  await daemon.loadImage();
  const [layer = ""] = await layersOf(daemon);
  rmSync(dirname(layer), { recursive: true });
  const repaired = await checkOf(daemon)("--repair");
  expect([repaired.code, repaired.lines[0]]).toEqual([0, expect.stringContaining("(repaired)")]);
  expect(await daemon.dockerOk("run", "--rm", IMAGE, "echo", "runs")).toBe("runs");
});

nothingIsLeft();
