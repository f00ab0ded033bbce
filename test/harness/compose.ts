/** Compose projects in folders of their own, brought up by naru compose and by docker compose. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";

import type { Check } from "./check.ts";
import { clientEnv, dockerOk } from "./client.ts";
import { dockerComposeBinary } from "./compose-binary.ts";
import { run, until, type Output } from "./process.ts";

const NARU = resolve(import.meta.dir, "../../dist/naru");

/** Where docker compose 2 is; undefined when it is not there. */
export const dockerCompose = dockerComposeBinary;

export interface ComposeProject {
  readonly name: string;
  readonly folder: string;
  write(path: string, text: string): void;
  remove(path: string): void;
  /** naru compose ARGS, left running; its standard error is collected. */
  background(...args: string[]): {
    waitFor(part: string): Promise<void>;
    stop(): Promise<number>;
    /** SIGKILL after so long. */
    killAfter(ms: number): Promise<void>;
  };
  /** naru compose ARGS. */
  naru(...args: string[]): Promise<Output>;
  /** docker compose ARGS. */
  docker(...args: string[]): Promise<Output>;
  /** Trimmed output; throws unless it exits 0. */
  naruOk(...args: string[]): Promise<string>;
  dockerOk(...args: string[]): Promise<string>;
}

/** A folder with these files; all of it goes when the check ends. */
export const composeProject = (
  t: Check,
  files: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
): ComposeProject => {
  const name = t.name();
  const folder = t.folder();
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(`${folder}/${path}`), { recursive: true });
    writeFileSync(`${folder}/${path}`, text);
  };
  for (const [path, text] of Object.entries(files)) write(path, text);
  const exec = (argv: readonly string[]): Promise<Output> =>
    run(argv, {
      cwd: folder,
      env: { ...clientEnv, COMPOSE_PROJECT_NAME: name, ...env },
      timeoutMs: 240_000,
    });
  const ok = async (argv: readonly string[]): Promise<string> => {
    const out = await exec(argv);
    if (out.code === 0) return out.stdout.trim();
    throw new Error(`${argv.join(" ")}: exit ${out.code}\n${out.stdout}${out.stderr}`);
  };
  const naru = (args: readonly string[]): string[] => [NARU, "compose", ...args];
  const docker = (args: readonly string[]): string[] => [
    dockerCompose ?? "docker-compose",
    ...args,
  ];
  t.defer(() => exec(naru(["-p", name, "down", "-v", "-t", "0", "--remove-orphans"])));
  return {
    name,
    folder,
    write,
    remove: (path) => rmSync(`${folder}/${path}`, { recursive: true, force: true }),
    background: (...args) => {
      const child = Bun.spawn(naru(args), {
        cwd: folder,
        env: { ...process.env, ...clientEnv, COMPOSE_PROJECT_NAME: name, ...env },
        stdin: "ignore",
        stdout: "ignore",
        stderr: "pipe",
      });
      let seen = "";
      const collect = async (): Promise<void> => {
        for await (const chunk of child.stderr) seen += Buffer.from(chunk).toString("utf8");
      };
      void collect();
      return {
        waitFor: async (part) => {
          await until(`"${part}" in ${seen}`, async () => seen.includes(part));
        },
        killAfter: async (ms) => {
          await Bun.sleep(ms);
          child.kill("SIGKILL");
          await child.exited;
        },
        stop: async () => {
          child.kill("SIGINT");
          return child.exited;
        },
      };
    },
    naru: (...args) => exec(naru(args)),
    docker: (...args) => exec(docker(args)),
    naruOk: (...args) => ok(naru(args)),
    dockerOk: (...args) => ok(docker(args)),
  };
};

/** Ids of the project's containers, sorted. */
export const containerIds = async (project: string): Promise<string[]> =>
  (
    await dockerOk(
      "ps",
      "-aq",
      "--no-trunc",
      "--filter",
      `label=com.docker.compose.project=${project}`,
    )
  )
    .split("\n")
    .filter((id) => id !== "")
    .toSorted();
