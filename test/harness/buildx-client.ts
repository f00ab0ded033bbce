/** The buildx plugin, wherever it is, against any engine. */
import { copyFileSync, existsSync, mkdirSync } from "node:fs";

import { type Output, type RunOptions, run } from "./process.ts";

const PLUGIN = ["/var/tmp/naru-peers/sid", "/var/tmp/naru-peers/compose", ""]
  .map((root) => `${root}/usr/libexec/docker/cli-plugins/docker-buildx`)
  .find((path) => existsSync(path));
const CLIENT = "/usr/local/bin/docker";
const HOME = "/tmp/naru-e2e-buildx";

export const hasBuildx = PLUGIN !== undefined && existsSync(CLIENT);

/** argv and environment that start the plugin. */
export const buildxCommand = (
  host: string,
  args: readonly string[],
): { readonly argv: readonly string[]; readonly env: NonNullable<RunOptions["env"]> } => {
  mkdirSync(`${HOME}/cli-plugins`, { recursive: true });
  const plugin = `${HOME}/cli-plugins/docker-buildx`;
  if (!existsSync(plugin) && PLUGIN !== undefined) copyFileSync(PLUGIN, plugin);
  const env = { DOCKER_HOST: host, DOCKER_CONTEXT: undefined, DOCKER_CONFIG: HOME, HOME };
  return { argv: [CLIENT, "buildx", ...args], env };
};

/** `enter`: argv in front, where the client shall see the engine's network. */
export const buildxAt = async (
  host: string,
  args: readonly string[],
  enter: readonly string[] = [],
  options: Pick<RunOptions, "timeoutMs"> = {},
): Promise<Output> => {
  const { argv, env } = buildxCommand(host, args);
  return await run([...enter, ...argv], { env, ...options });
};

/** What it said. Throws when it failed. */
export const good = (output: Output): string => {
  if (output.code !== 0) throw new Error(`exit ${output.code}\n${output.stdout}${output.stderr}`);
  return output.stdout + output.stderr;
};
