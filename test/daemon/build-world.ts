/** Engines, a registry and contexts for builds that leave their machine. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

import { buildxAt, good } from "../harness/buildx-client.ts";
import { until } from "../harness/process.ts";
import { type Daemon, type World, naru } from "./world.ts";

export interface BuildWorld {
  /** "localhost:15001", as engines and clients inside the world reach it. */
  readonly registry: string;
  /** Answers until it is disposed of. */
  readonly withRegistry: () => Promise<AsyncDisposable>;
  /** A daemon with the test image. */
  readonly engine: (name: string) => Promise<Daemon>;
  readonly folder: (name: string, files: Readonly<Record<string, string>>) => string;
  readonly buildx: (daemon: Daemon, ...args: string[]) => Promise<string>;
  /** What it said; throws when it failed. */
  readonly build: (daemon: Daemon, ...args: string[]) => Promise<string>;
}

export const buildWorld = (world: World): BuildWorld => {
  const port = 15_000 + (process.pid % 5_000);
  let registries = 0;
  const buildx: BuildWorld["buildx"] = async (daemon, ...args) =>
    good(await buildxAt(`unix://${daemon.roots.socketPath}`, args, world.isolation.enter));
  return {
    registry: `localhost:${port}`,
    withRegistry: async () => {
      const base = `${world.base}/registry-${registries++}`;
      mkdirSync(base);
      writeFileSync(`${base}/log`, "");
      const argv = [...naru, "registry", "serve", "--addr", `127.0.0.1:${port}`];
      const all = [...world.isolation.enter, ...argv, "--data-root", `${base}/data`];
      const log = Bun.file(`${base}/log`);
      const child = Bun.spawn(all, { stdout: log, stderr: log });
      await until("the registry", () => readFileSync(`${base}/log`, "utf8").includes("ready"));
      return {
        [Symbol.asyncDispose]: async () => {
          child.kill("SIGTERM");
          await child.exited;
        },
      };
    },
    engine: async (name) => {
      const daemon = await world.start(world.roots(name));
      await daemon.loadImage();
      return daemon;
    },
    folder: (name, files) => {
      const path = `${world.base}/${name}`;
      mkdirSync(path, { recursive: true });
      for (const [file, text] of Object.entries(files)) writeFileSync(`${path}/${file}`, text);
      return path;
    },
    buildx,
    build: (daemon, ...args) => buildx(daemon, "build", "--progress", "plain", ...args),
  };
};
