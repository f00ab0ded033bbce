/** The words the e2e tests are written in. */
import { test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";

import { docker, dockerOk } from "./client.ts";
import { engine } from "./current.ts";
import { api as rawApi, type ApiOptions, type Reply } from "./http.ts";
import { run, type Output, type RunOptions } from "./process.ts";
import { BUSYBOX } from "./fixtures.ts";

export { docker, dockerOk } from "./client.ts";
export { engine } from "./current.ts";
export { BUSYBOX, FULL } from "./fixtures.ts";
export { run, sleep, until } from "./process.ts";

const JOBS = Number(process.env["E2E_JOBS"] ?? 6);
const waiting: (() => void)[] = [];
let running = 0;

const enter = async (): Promise<void> => {
  if (running >= JOBS) await new Promise<void>((resolve) => waiting.push(resolve));
  running += 1;
};

const leave = (): void => {
  running -= 1;
  waiting.shift()?.();
};

let counter = 0;
const RUN = `e2e${process.pid.toString(36)}${(Date.now() % 46_656).toString(36)}`;

/** What one check has at hand; all it makes goes when it ends. */
export interface Check {
  /** A name nothing else has. */
  name(): string;
  /** `docker run -d` with these arguments (image and command included); gives its name. */
  up(...args: string[]): Promise<string>;
  /** `docker run -d … e2e/busybox sleep 600`; options only. */
  idle(...options: string[]): Promise<string>;
  /** `docker create` with these arguments; gives its name. */
  create(...args: string[]): Promise<string>;
  /** `docker volume create`; gives its name. */
  volume(...options: string[]): Promise<string>;
  /** `docker network create`; gives its name. */
  network(...options: string[]): Promise<string>;
  /** A folder on the host. */
  folder(): string;
  defer(undo: () => Promise<unknown>): void;
}

const endpoint = (path: string): string => (path.startsWith("/") ? path : `/${path}`);

/** One raw API request to the engine under test. */
export const api = (method: string, path: string, options?: ApiOptions): Promise<Reply> =>
  rawApi(engine.socketPath, method, endpoint(path), options);

/** `docker inspect` of anything as one object. */
export const inspect = async <T = Record<string, never>>(name: string): Promise<T> => {
  const list = JSON.parse(await dockerOk("inspect", name)) as T[];
  return list[0] as T;
};

export interface ContainerState {
  readonly Status: string;
  readonly Running: boolean;
  readonly Pid: number;
  readonly ExitCode: number;
  readonly OOMKilled: boolean;
  readonly StartedAt: string;
  readonly FinishedAt: string;
  readonly Error: string;
}

export const stateOf = async (name: string): Promise<ContainerState> =>
  (await inspect<{ State: ContainerState }>(name)).State;

/** One `--format` value of inspect. */
export const field = (name: string, format: string): Promise<string> =>
  dockerOk("inspect", "--format", format, name);

/** `docker run --rm [options] e2e/busybox sh -c SCRIPT`. */
export const sh = (options: readonly string[], script: string, run?: RunOptions): Promise<Output> =>
  docker(["run", "--rm", ...options, BUSYBOX, "sh", "-c", script], run);

/** As `sh`, throws unless it exits 0; trimmed stdout. */
export const shOk = async (options: readonly string[], script: string): Promise<string> =>
  dockerOk("run", "--rm", ...options, BUSYBOX, "sh", "-c", script);

/** `docker KIND prune …`; engines do one prune of a kind at a time and refuse a second. */
export const prune = async (kind: string, ...args: string[]): Promise<string> => {
  for (;;) {
    const out = await docker([kind, "prune", ...args]);
    if (out.code === 0) return out.stdout.trim();
    if (!/prune operation is already running/.test(out.stderr)) throw new Error(out.stderr);
    await Bun.sleep(200);
  }
};

const makeCheck = (undo: (() => Promise<unknown>)[]): Check => {
  const name = (): string => `${RUN}-${(counter++).toString(36)}`;
  const forget = (id: string): void => {
    undo.push(() => api("DELETE", `/containers/${id}?force=1&v=1`));
  };
  const make = async (verb: readonly string[], args: readonly string[]): Promise<string> => {
    const own = name();
    forget(own);
    await dockerOk(...verb, "--name", own, ...args);
    return own;
  };
  return {
    name,
    up: (...args) => make(["run", "-d"], args),
    idle: (...options) => make(["run", "-d"], [...options, BUSYBOX, "sleep", "600"]),
    create: (...args) => make(["create"], args),
    volume: async (...options) => {
      const own = name();
      undo.push(() => api("DELETE", `/volumes/${own}?force=1`));
      return dockerOk("volume", "create", ...options, own);
    },
    network: async (...options) => {
      const own = name();
      undo.push(() => api("DELETE", `/networks/${own}`));
      await dockerOk("network", "create", ...options, own);
      return own;
    },
    folder: () => {
      const path = mkdtempSync("/tmp/naru-e2e-files-");
      undo.push(() => Promise.resolve(rmSync(path, { recursive: true, force: true })));
      return path;
    },
    defer: (action) => void undo.push(action),
  };
};

export interface CheckOptions {
  /** A reason not to run it on the engine at hand; see `skipOn`. */
  readonly skip?: string | undefined;
  readonly timeoutMs?: number;
  /** Runs with no other check of its file beside it. */
  readonly isAlone?: boolean;
}

/**
 * One check as one test. Checks of a file run several at once (`E2E_JOBS`), so each uses names
 * of its own and filters by them.
 */
export const check = (
  name: string,
  body: (t: Check) => Promise<void>,
  options: CheckOptions = {},
): void => {
  if (options.skip !== undefined) {
    test.skip(`${name} [${options.skip}]`, () => undefined);
    return;
  }
  const whole = async (): Promise<void> => {
    await enter();
    const undo: (() => Promise<unknown>)[] = [];
    try {
      await body(makeCheck(undo));
    } finally {
      for (const action of undo.reverse()) await action().catch(() => undefined);
      leave();
    }
  };
  const timeoutMs = options.timeoutMs ?? 240_000;
  if (options.isAlone === true) test.serial(name, whole, timeoutMs);
  else test.concurrent(name, whole, timeoutMs);
};

/** A reason to skip on these engines, undefined on the others. */
export const skipOn = (kinds: string, reason: string): string | undefined =>
  kinds.split(" ").includes(engine.kind) ? `not on ${engine.kind}: ${reason}` : undefined;

/** For what naru's contract has and Docker has not. */
export const naruOnly = (reason: string): string | undefined =>
  skipOn("docker20 docker28", `naru's own: ${reason}`);

const hostCommand = async (argv: readonly string[]): Promise<string> => {
  const result = await run(argv, { timeoutMs: 60_000 });
  if (result.code !== 0) {
    throw new Error(`${argv.join(" ")}: exit ${result.code}\n${result.stdout}${result.stderr}`);
  }
  return result.stdout.trim();
};

/** Runs a command on the engine's host: its mounts and its network. */
export const onHost = (...argv: string[]): Promise<string> =>
  hostCommand([...engine.enter, ...argv]);

/** argv in front of a program of this machine that shall use the engine's host's network. */
export const enterNet = engine.enter.filter((word) => word !== "-m");

/** Runs a program of this machine on the engine's host's network. */
export const onNet = (...argv: string[]): Promise<string> => hostCommand([...enterNet, ...argv]);

/** CAP_SYS_RESOURCE is bit 24; some machines are without it. */
const hasSysResource =
  ((BigInt(`0x${/CapEff:\s*(\w+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0"}`) >>
    24n) &
    1n) ===
  1n;

/** Old engines ask for every capability there is and fail where the machine has not all. */
export const needsAllCapabilities = hasSysResource
  ? undefined
  : skipOn("docker20", "--privileged fails on a machine without every capability");
