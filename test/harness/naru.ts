/** Starts naru's own daemon in a world of its own, and sees to it that nothing is left of it. */
import { existsSync, mkdirSync, mkdtempSync } from "node:fs";
import { resolve } from "node:path";

import type { StartedEngine } from "./engine.ts";
import { isolate, type Isolation } from "./isolation.ts";
import { cgroupsWith, findLeftovers, snapshotWorld, type WorldSnapshot } from "./leftovers.ts";
import { run, until } from "./process.ts";

export const naruBinary = (): string => {
  const path = resolve(process.env["NARU_BIN"] ?? `${import.meta.dir}/../../dist/naru`);
  if (!existsSync(path)) throw new Error(`"${path}" is missing: npm run build`);
  return path;
};

export interface NaruRoots {
  readonly base: string;
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly socketPath: string;
}

export const newRoots = (prefix = "/tmp/naru-e2e-"): NaruRoots => {
  const base = mkdtempSync(prefix);
  mkdirSync(`${base}/data`);
  return {
    base,
    dataRoot: `${base}/data`,
    execRoot: `${base}/exec`,
    socketPath: `${base}/naru.sock`,
  };
};

export interface NaruDaemon {
  readonly pid: number;
  /** Milliseconds from spawn to `ready`. */
  readonly readyMs: number;
  readonly exited: Promise<number>;
  kill(signal: NodeJS.Signals): void;
}

export interface DaemonOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** argv in front (enter namespaces); default none. */
  readonly enter?: readonly string[];
  readonly flags?: readonly string[];
  readonly timeoutMs?: number;
}

/** Runs `naru daemon` and resolves at its `ready` line; throws with its log if it ends before. */
export const spawnNaru = async (
  roots: NaruRoots,
  options: DaemonOptions = {},
): Promise<NaruDaemon> => {
  const log = Bun.file(`${roots.base}/daemon.log`);
  const begin = performance.now();
  const child = Bun.spawn(
    [
      ...(options.enter ?? []),
      naruBinary(),
      "daemon",
      "--host",
      `unix://${roots.socketPath}`,
      "--data-root",
      roots.dataRoot,
      "--exec-root",
      roots.execRoot,
      ...(options.flags ?? []),
    ],
    {
      stdin: "ignore",
      stdout: "pipe",
      stderr: log,
      env: { PATH: process.env["PATH"], HOME: roots.base, ...options.env },
    },
  );
  const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? 120_000);
  let seen = "";
  const reader = child.stdout.getReader();
  while (!/^ready/m.test(seen)) {
    const { value, done } = await reader.read();
    if (done) {
      clearTimeout(timer);
      const code = await child.exited;
      throw new Error(`naru daemon ended (${code}) before ready: ${seen}${await log.text()}`);
    }
    seen += Buffer.from(value).toString("utf8");
  }
  clearTimeout(timer);
  const readyMs = performance.now() - begin;
  void (async () => {
    while (!(await reader.read()).done) {
      // Nobody reads on; the pipe must not fill.
    }
  })();
  return {
    pid: child.pid,
    readyMs,
    exited: child.exited,
    kill: (signal) => child.kill(signal),
  };
};

/** SIGTERM, and SIGKILL after a minute; false when that was needed. */
export const stopNaru = async (daemon: NaruDaemon): Promise<boolean> => {
  daemon.kill("SIGTERM");
  const end = await Promise.race([daemon.exited, Bun.sleep(60_000)]);
  if (end === undefined) daemon.kill("SIGKILL");
  await daemon.exited;
  return end !== undefined;
};

/** `naru system reset`, then what is still there of this daemon. */
export const resetNaru = async (
  roots: NaruRoots,
  world: Isolation,
  before: WorldSnapshot,
  cgroupNames: readonly string[],
): Promise<readonly string[]> => {
  const reset = await world.exec([
    naruBinary(),
    "system",
    "reset",
    "--force",
    "--data-root",
    roots.dataRoot,
    "--exec-root",
    roots.execRoot,
  ]);
  const left: string[] = [];
  if (reset.code !== 0) {
    left.push(`system reset failed (${reset.code}): ${reset.stdout}${reset.stderr}`);
  }
  const look = async (): Promise<readonly string[]> => [
    ...(await findLeftovers(world, before, roots.base)),
    ...cgroupsWith(cgroupNames),
  ];
  try {
    await until("an empty world", async () => (await look()).length === 0, 30_000, 200);
  } catch {
    left.push(...(await look()));
  }
  return left;
};

/** When a socket that is not there yet first answers; NaN when `isOver` comes before that. */
const firstAnswers = async (
  socketPath: string,
  isOver: () => boolean,
): Promise<{ readonly ping: number; readonly list: number }> => {
  const get = async (path: string): Promise<number> => {
    while (!isOver()) {
      try {
        const { ok } = await fetch(`http://naru${path}`, { unix: socketPath });
        if (ok) return performance.now();
      } catch {
        // Nobody listens yet.
      }
      await Bun.sleep(1);
    }
    return Number.NaN;
  };
  const ping = await get("/_ping");
  return { ping, list: await get("/containers/json") };
};

/** The e2e engine: daemon in its own namespaces under /tmp. */
export const startNaru = async (): Promise<StartedEngine> => {
  const roots = newRoots();
  const world = await isolate();
  const before = await snapshotWorld(world);
  const fail = async (error: unknown): Promise<never> => {
    await world.stop();
    throw error;
  };
  let isOver = false;
  const began = performance.now();
  const answered = firstAnswers(roots.socketPath, () => isOver);
  const daemon = await spawnNaru(roots, { enter: world.enter }).catch((error: unknown) => {
    isOver = true;
    return fail(error);
  });
  const { ping, list } = await answered;
  const cgroupNames = new Set<string>();
  return {
    kind: "naru",
    host: `unix://${roots.socketPath}`,
    hostIp: world.hostIp,
    enter: world.enter,
    dataRoot: roots.dataRoot,
    pid: daemon.pid,
    readyMs: ping - began,
    listMs: list - began,
    stop: async () => {
      const isStopped = await stopNaru(daemon);
      const left = await resetNaru(roots, world, before, [...cgroupNames]);
      await world.stop();
      if (left.length === 0) await run(["rm", "-rf", roots.base]);
      return isStopped ? left : ["a daemon that did not end on SIGTERM", ...left];
    },
  };
};
