/** One naru of its own that may be killed at will: start, die, start again, leave nothing. */
import { readFileSync, readdirSync } from "node:fs";

import { expect } from "bun:test";

import { clientBinary } from "../harness/client-binary.ts";
import { loadFixtures } from "../harness/fixtures.ts";
import { api, type ApiOptions, type Reply } from "../harness/http.ts";
import { isolate, type Isolation } from "../harness/isolation.ts";
import { cgroupParentOf, snapshotWorld } from "../harness/leftovers.ts";
import {
  newRoots,
  resetNaru,
  spawnNaru,
  stopNaru,
  type NaruDaemon,
  type NaruRoots,
} from "../harness/naru.ts";
import { must, run, until, type Output } from "../harness/process.ts";

export const IMAGE = "e2e/busybox:latest";

export interface State {
  readonly Status: string;
  readonly Running: boolean;
  readonly Pid: number;
  readonly ExitCode: number;
  readonly FinishedAt: string;
  readonly StartedAt: string;
}

export interface CrashWorld {
  readonly roots: NaruRoots;
  readonly world: Isolation;
  /** Of the daemon that was started last. */
  pid(): number;
  /** Starts the daemon; with a failpoint it kills itself there. Its start may already be there. */
  start(failpoint?: string, flags?: readonly string[]): Promise<void>;
  /** SIGTERM; containers run on. False when the daemon had to be killed. */
  stop(): Promise<boolean>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Waits for the daemon's own death at its failpoint; throws when it lives on. */
  died(timeoutMs?: number): Promise<void>;
  api(method: string, path: string, options?: ApiOptions): Promise<Reply>;
  /** As `api`, but a lost connection is no error: the daemon may die meanwhile. */
  attempt(method: string, path: string, options?: ApiOptions): Promise<Reply | undefined>;
  /** The docker client on this daemon. */
  cli(...args: string[]): Promise<Output>;
  create(name: string, ...cmd: string[]): Promise<void>;
  up(name: string, ...cmd: string[]): Promise<State>;
  /** undefined: there is no such container. */
  state(name: string): Promise<State | undefined>;
  log(): string;
}

const makeWorld = (roots: NaruRoots, world: Isolation): CrashWorld => {
  const socket = roots.socketPath;
  let daemon: NaruDaemon | undefined;
  const request = (method: string, path: string, options?: ApiOptions): Promise<Reply> =>
    api(socket, method, path, options);
  const current = (): NaruDaemon => {
    if (daemon === undefined) throw new Error("no daemon was started");
    return daemon;
  };
  const self: CrashWorld = {
    roots,
    world,
    pid: () => current().pid,
    start: async (failpoint, flags = []) => {
      daemon = await spawnNaru(roots, {
        enter: world.enter,
        flags,
        env: failpoint === undefined ? {} : { NARU_FAILPOINT: failpoint },
      });
    },
    stop: async () => {
      return daemon === undefined || (await stopNaru(daemon));
    },
    kill: async () => {
      current().kill("SIGKILL");
      await current().exited;
    },
    died: async (timeoutMs = 90_000) => {
      const end = await Promise.race([current().exited, Bun.sleep(timeoutMs)]);
      if (end === undefined) throw new Error("the failpoint was not reached");
    },
    api: request,
    attempt: async (method, path, options) => {
      try {
        return await request(method, path, options);
      } catch {
        // The daemon died under it, as it was told to.
        return undefined;
      }
    },
    cli: (...args) =>
      run([clientBinary(), "-H", `unix://${socket}`, ...args], { timeoutMs: 200_000 }),
    create: async (name, ...cmd) => {
      const reply = await request("POST", `/containers/create?name=${name}`, {
        body: { Image: IMAGE, Cmd: cmd },
      });
      if (reply.status !== 201) throw new Error(`create: ${reply.status} ${reply.text}`);
    },
    up: async (name, ...cmd) => {
      await self.create(name, ...cmd);
      const reply = await request("POST", `/containers/${name}/start`);
      if (reply.status !== 204) throw new Error(`start: ${reply.status} ${reply.text}`);
      return (await self.state(name)) as State;
    },
    state: async (name) => {
      const reply = await request("GET", `/containers/${name}/json`);
      return reply.status === 404 ? undefined : reply.json<{ State: State }>().State;
    },
    log: () => readFileSync(`${roots.base}/daemon.log`, "utf8"),
  };
  return self;
};

export interface WorldOptions {
  /** The data root is a tmpfs of this size. */
  readonly dataMiB?: number;
}

/**
 * Runs `body` with a daemon that has the test images; then the engine must be usable, and after
 * `system reset` nothing of it may be left.
 */
export const withWorld = async (
  body: (w: CrashWorld) => Promise<void>,
  options: WorldOptions = {},
): Promise<void> => {
  const roots = newRoots("/tmp/naru-crash-");
  const world = await isolate();
  const { dataMiB } = options;
  try {
    if (dataMiB !== undefined) {
      const mount = ["mount", "-t", "tmpfs", "-o", `size=${dataMiB}m`, "tmpfs", roots.dataRoot];
      await must([...world.enter, ...mount]);
    }
    const before = await snapshotWorld(world);
    const w = makeWorld(roots, world);
    await w.start();
    await loadFixtures(roots.socketPath);
    const { Pid } = await w.up("learn-cgroup", "sleep", "60");
    const parent = cgroupParentOf(Pid);
    await w.api("DELETE", "/containers/learn-cgroup?force=1");
    try {
      await body(w);
      await expectUsable(w);
    } catch (error) {
      console.error(w.log().split("\n").slice(-25).join("\n"));
      throw error;
    } finally {
      const isStopped = await w.stop();
      const left = await resetNaru(roots, world, before, parent === undefined ? [] : [parent]);
      expect(left).toEqual([]);
      expect(isStopped).toBe(true);
    }
  } finally {
    if (dataMiB !== undefined) await world.exec(["umount", roots.dataRoot]);
    await world.stop();
    await run(["rm", "-rf", roots.base]);
  }
};

/** The whole life of a container works, with output and exit code. */
export const expectUsable = async (w: CrashWorld): Promise<void> => {
  const out = await w.cli("run", "--rm", IMAGE, "sh", "-c", "echo usable; exit 3");
  expect([out.stdout, out.code]).toEqual(["usable\n", 3]);
};

export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
};

/** The supervisor of a container: the parent of its first process. */
export const parentOf = (pid: number): number =>
  Number(/PPid:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);

/** The conmon processes of this exec root, containers' and waiting ones. */
export const monitorsOf = (execRoot: string): string[] =>
  readdirSync("/proc").filter((pid) => {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      return words[0]?.endsWith("conmon") === true && words.some((w) => w.startsWith(execRoot));
    } catch {
      return false; // no process, or none any more
    }
  });

export const ended = (w: CrashWorld, name: string): Promise<State> =>
  until(`the end of ${name}`, async () => {
    const state = await w.state(name);
    return state !== undefined && !state.Running && state.Status !== "restarting" && state;
  });
