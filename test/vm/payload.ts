/** The second disk: naru as it was built, the checks in one file, and the first process. */
import { copyFileSync, chmodSync, existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";

import { must } from "../harness/process.ts";
import { programPath } from "./requirements.ts";

const MIB = 1024 * 1024;
const PROJECT = resolve(import.meta.dir, "../..");

/** `NARU_BIN`, else dist/naru, which is built when it is missing. */
const naruBinary = async (say: (line: string) => void): Promise<string> => {
  const path = resolve(process.env["NARU_BIN"] ?? `${PROJECT}/dist/naru`);
  if (existsSync(path)) return path;
  if (process.env["NARU_BIN"] !== undefined) throw new Error(`NARU_BIN: "${path}" does not exist`);
  say(`building ${path}`);
  await must([process.execPath, `${PROJECT}/scripts/build.ts`, path], { cwd: PROJECT });
  return path;
};

const bundleChecks = async (folder: string): Promise<void> => {
  const result = await Bun.build({
    entrypoints: [`${import.meta.dir}/guest/main.ts`],
    outdir: folder,
    naming: "guest.js",
    target: "bun",
  });
  if (!result.success) throw new AggregateError(result.logs, "the checks cannot be bundled");
};

/** Makes `<folder>/payload.ext4` and answers its path. Checks whose names match `pattern` will run. */
export const makePayload = async (
  folder: string,
  pattern: string,
  say: (line: string) => void,
): Promise<string> => {
  const tree = `${folder}/payload`;
  mkdirSync(tree);
  const binary = await naruBinary(say);
  copyFileSync(binary, `${tree}/naru`);
  chmodSync(`${tree}/naru`, 0o755);
  copyFileSync(`${import.meta.dir}/init.sh`, `${tree}/init`);
  chmodSync(`${tree}/init`, 0o755);
  writeFileSync(`${tree}/pattern`, pattern);
  await bundleChecks(tree);
  const disk = `${folder}/payload.ext4`;
  const sizeMib = Math.ceil((statSync(binary).size / MIB) * 1.1) + 16;
  await must([
    programPath("mke2fs"),
    "-q",
    "-t",
    "ext4",
    "-O",
    "^has_journal",
    "-m",
    "0",
    "-d",
    tree,
    disk,
    `${sizeMib}M`,
  ]);
  return disk;
};

/** Makes `<folder>/quota.ext4`, an empty file system that can count projects, and answers its path. */
export const makeQuotaDisk = async (folder: string): Promise<string> => {
  const disk = `${folder}/quota.ext4`;
  const features = ["-O", "project,quota", "-E", "quotatype=prjquota"];
  await must([programPath("mke2fs"), "-q", "-t", "ext4", ...features, disk, "512M"]);
  return disk;
};
