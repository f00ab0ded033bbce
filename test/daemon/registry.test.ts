/** naru's engine and naru's registry: pushed by one engine, pulled by another, with passwords. */
import { mkdirSync, writeFileSync } from "node:fs";

import { expect } from "bun:test";

import { until } from "../harness/process.ts";
import { naru, openWorld } from "./world.ts";

const { world, scenario, nothingIsLeft } = await openWorld();

const HOST = "127.0.0.1:5099";

scenario(
  "an image goes from engine to engine through the registry, and its blobs are mounted, not sent twice",
  async () => {
    const base = `${world.base}/registry`;
    mkdirSync(base, { recursive: true });
    const hash = await Bun.password.hash("sesame", { algorithm: "bcrypt", cost: 4 });
    writeFileSync(`${base}/users`, `alice:${hash}\n`);
    writeFileSync(`${base}/config.json`, JSON.stringify({ audit: { path: `${base}/audit` } }));
    const registry = Bun.spawn(
      [
        ...world.isolation.enter,
        ...naru,
        "registry",
        "serve",
        "--addr",
        HOST,
        "--data-root",
        `${base}/data`,
        "--htpasswd",
        `${base}/users`,
        "--config-file",
        `${base}/config.json`,
      ],
      { stdin: "ignore", stdout: Bun.file(`${base}/out`), stderr: Bun.file(`${base}/err`) },
    );
    try {
      await until("the registry", async () =>
        (await Bun.file(`${base}/out`).text()).includes("ready"),
      );
      const from = await world.start(world.roots("pusher"));
      await from.loadImage();
      await from.dockerOk("login", "-u", "alice", "-p", "sesame", HOST);
      for (const name of ["one/box:v1", "two/box:v1"]) {
        await from.dockerOk("tag", "daemon/busybox", `${HOST}/${name}`);
        await from.dockerOk("push", `${HOST}/${name}`);
      }
      const audit = await Bun.file(`${base}/audit`).text();
      expect(audit).toMatch(
        /"repository":"two\/box".*"action":"mount".*"fromRepository":"one\/box"/,
      );
      const to = await world.start(world.roots("puller"));
      await to.dockerOk("pull", `${HOST}/two/box:v1`);
      expect(await to.dockerOk("run", "--rm", `${HOST}/two/box:v1`, "echo", "arrived")).toBe(
        "arrived",
      );
      const id = "{{.Id}}";
      expect(await to.dockerOk("image", "inspect", "-f", id, `${HOST}/two/box:v1`)).toBe(
        await from.dockerOk("image", "inspect", "-f", id, "daemon/busybox"),
      );
    } finally {
      registry.kill();
      await registry.exited;
    }
  },
);

nothingIsLeft();
