/** Builds with the client's classic builder, in folders and under names of their own. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

import { BUSYBOX, type Check, api, docker, dockerOk, inspect } from "./check.ts";
import type { Output } from "./process.ts";
import { type TarEntry, writeTar } from "./tar.ts";

export type Files = Readonly<Record<string, string>>;

export interface Built extends Output {
  /** Its tag; gone when the check ends. */
  readonly image: string;
}

export const write = (folder: string, files: Files): string => {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(`${folder}/${path}`), { recursive: true });
    writeFileSync(`${folder}/${path}`, text);
  }
  return folder;
};

export const buildIn = async (
  t: Check,
  folder: string,
  args: readonly string[] = [],
): Promise<Built> => {
  const image = `${t.name()}:1`;
  t.defer(() => docker(["rmi", "-f", image]));
  const env = { DOCKER_BUILDKIT: "0" };
  return { ...(await docker(["build", "-t", image, ...args, folder], { env })), image };
};

/** Builds `dockerfile` in a context of `files`. `{base}` stands for the test image. */
export const build = (
  t: Check,
  dockerfile: string,
  files: Files = {},
  args: readonly string[] = [],
): Promise<Built> => {
  const text = dockerfile.replaceAll("{base}", BUSYBOX);
  return buildIn(t, write(t.folder(), { Dockerfile: text, ...files }), args);
};

export const built = async (
  t: Check,
  dockerfile: string,
  files: Files = {},
  args: readonly string[] = [],
): Promise<Built> => {
  const out = await build(t, dockerfile, files, args);
  if (out.code !== 0) throw new Error(`${out.stdout}\n${out.stderr}`);
  return out;
};

export const inside = (image: string, script: string): Promise<string> =>
  dockerOk("run", "--rm", image, "sh", "-c", script);

export const configOf = async (image: string): Promise<Record<string, never>> =>
  (await inspect<{ Config: Record<string, never> }>(image)).Config;

/** POST /build with a tar of one's own. */
export const post = (
  entries: readonly TarEntry[],
  query = "",
): Promise<{ status: number; text: string }> =>
  api("POST", `/build?${query}`, {
    raw: writeTar(entries),
    headers: { "Content-Type": "application/x-tar" },
  });
