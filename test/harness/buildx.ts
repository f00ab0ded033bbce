/** buildx with the engine's own builder, in folders and under names of a check's own. */
import { copyFileSync, existsSync, mkdirSync } from "node:fs";

import { type Check, check, docker, engine, run, skipOn } from "./check.ts";
import type { Output } from "./process.ts";

const PLUGIN = ["/var/tmp/naru-peers/sid", "/var/tmp/naru-peers/compose", ""]
  .map((root) => `${root}/usr/libexec/docker/cli-plugins/docker-buildx`)
  .find((path) => existsSync(path));
const CLIENT = "/usr/local/bin/docker";
const HOME = "/tmp/naru-e2e-buildx";

export const buildxAt = async (host: string, args: readonly string[]): Promise<Output> => {
  mkdirSync(`${HOME}/cli-plugins`, { recursive: true });
  const plugin = `${HOME}/cli-plugins/docker-buildx`;
  if (!existsSync(plugin) && PLUGIN !== undefined) copyFileSync(PLUGIN, plugin);
  const env = { DOCKER_HOST: host, DOCKER_CONTEXT: undefined, DOCKER_CONFIG: HOME, HOME };
  return await run([CLIENT, "buildx", ...args], { env });
};

export const buildx = (...args: string[]): Promise<Output> => buildxAt(engine.host, args);

/** What it said. Throws when it failed. */
export const good = (output: Output): string => {
  if (output.code !== 0) throw new Error(`exit ${output.code}\n${output.stdout}${output.stderr}`);
  return output.stdout + output.stderr;
};

/** A name that is gone when the check ends. */
export const imageName = (t: Check): string => {
  const name = `${t.name()}:1`;
  t.defer(() => docker(["rmi", "-f", name]));
  return name;
};

/** A check that needs buildx; left out where there is none. */
export const buildxCheck = (...[title, body, options = {}]: Parameters<typeof check>): void => {
  const skip = options.skip ?? skipOn("docker20", "buildx asks for a newer engine");
  if (PLUGIN !== undefined && existsSync(CLIENT)) check(title, body, { ...options, skip });
};
