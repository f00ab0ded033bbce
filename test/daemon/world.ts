/** Daemons by hand: any flags, any number, in a world of their own that must be empty in the end. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { resolve } from "node:path";

import { afterAll, expect, test } from "bun:test";

import { clientBinary } from "../harness/client-binary.ts";
import { api, type ApiOptions, type Reply } from "../harness/http.ts";
import { BUSYBOX_CONFIG, busyboxRoot, dockerArchive } from "../harness/images.ts";
import { isolate, type Isolation } from "../harness/isolation.ts";
import {
  cgroupsWith,
  findLeftovers,
  snapshotWorld,
  type WorldSnapshot,
} from "../harness/leftovers.ts";
import { run, until, type Output } from "../harness/process.ts";
import { writeTar } from "../harness/tar.ts";

export const IMAGE = "daemon/busybox:latest";

const root = resolve(import.meta.dir, "../..");

/** argv of naru: `NARU_BIN`, else dist/naru, else the source; a name in ".ts" is run by this runtime. */
export const naru = ((): readonly string[] => {
  const built = `${root}/dist/naru`;
  const path = resolve(
    root,
    process.env["NARU_BIN"] ?? (existsSync(built) ? built : "src/main.ts"),
  );
  return path.endsWith(".ts") ? [process.execPath, path] : [path];
})();

let archive: Promise<Buffer> | undefined;
const imageArchive = (): Promise<Buffer> => {
  archive ??= busyboxRoot().then((files) =>
    dockerArchive([IMAGE], [writeTar(files)], BUSYBOX_CONFIG),
  );
  return archive;
};

export interface Roots {
  readonly base: string;
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly socketPath: string;
}

export interface StartOptions {
  /** Default: the roots' unix socket. */
  readonly hosts?: readonly string[];
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** argv between the world's entry and naru's. */
  readonly through?: readonly string[];
}

/** A daemon that said "ready". */
export interface Daemon {
  readonly roots: Roots;
  readonly pid: number;
  /** The addresses of its "ready" line. */
  readonly addresses: readonly string[];
  readonly exited: Promise<number>;
  /** All it wrote to stderr so far, this life only. */
  log(): string;
  /** Resolves with its exit code. */
  end(signal: NodeJS.Signals): Promise<number>;
  signal(signal: NodeJS.Signals): void;
  api(method: string, path: string, options?: ApiOptions): Promise<Reply>;
  docker(...args: string[]): Promise<Output>;
  /** Trimmed stdout; throws with the output unless it exits 0. */
  dockerOk(...args: string[]): Promise<string>;
  /** `docker run -d --name NAME … IMAGE …` */
  up(name: string, options: readonly string[], ...command: string[]): Promise<void>;
  loadImage(): Promise<void>;
  state(name: string): Promise<State | undefined>;
}

export interface State {
  readonly Status: string;
  readonly Running: boolean;
  readonly Pid: number;
  readonly ExitCode: number;
  readonly StartedAt: string;
  readonly FinishedAt: string;
}

export interface World {
  readonly isolation: Isolation;
  readonly base: string;
  roots(name: string): Roots;
  /** Throws with the log when it ends before it is ready. */
  start(roots: Roots, options?: StartOptions): Promise<Daemon>;
  /** Runs a daemon that cannot start to its end. */
  fails(roots: Roots, options?: StartOptions): Promise<Output>;
  /** The CLI, inside; `-H` is not given. */
  cli(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Output>;
  /** `naru system reset -f`; throws unless it exits 0. */
  reset(roots: Roots): Promise<void>;
}

const dockerOf = (socketPath: string, base: string) => (args: readonly string[]) =>
  run([clientBinary(), "-H", `unix://${socketPath}`, ...args], {
    timeoutMs: 120_000,
    env: { HOME: base, DOCKER_CONFIG: base, DOCKER_HOST: undefined, DOCKER_CONTEXT: undefined },
  });

const argvOf = (isolation: Isolation, roots: Roots, options: StartOptions): string[] => [
  ...isolation.enter,
  ...(options.through ?? []),
  ...naru,
  "daemon",
  ...(options.hosts ?? [`unix://${roots.socketPath}`]).flatMap((host) => ["--host", host]),
  "--data-root",
  roots.dataRoot,
  "--exec-root",
  roots.execRoot,
  ...(options.flags ?? []),
];

const environmentOf = (base: string, options: StartOptions): Record<string, string> => ({
  PATH: process.env["PATH"] ?? "",
  HOME: base,
  ...options.env,
});

const clientsOf = (roots: Roots, base: string) => {
  const docker = dockerOf(roots.socketPath, base);
  const dockerOk = async (...args: string[]): Promise<string> => {
    const result = await docker(args);
    if (result.code === 0) return result.stdout.trim();
    throw new Error(`docker ${args.join(" ")}: ${result.code}\n${result.stdout}${result.stderr}`);
  };
  const request = (method: string, path: string, options?: ApiOptions): Promise<Reply> =>
    api(roots.socketPath, method, path, options);
  return {
    api: request,
    docker: (...args: string[]) => docker(args),
    dockerOk,
    up: async (name: string, options: readonly string[], ...command: string[]) => {
      await dockerOk("run", "-d", "--name", name, ...options, IMAGE, ...command);
    },
    loadImage: async () => {
      const raw = await imageArchive();
      const reply = await request("POST", "/images/load?quiet=1", { raw });
      expect([reply.status, reply.text]).toEqual([200, expect.not.stringContaining('"error"')]);
    },
    state: async (name: string) => {
      const reply = await request("GET", `/containers/${name}/json`);
      return reply.status === 404 ? undefined : reply.json<{ State: State }>().State;
    },
  };
};

const start = async (
  isolation: Isolation,
  base: string,
  roots: Roots,
  options: StartOptions,
): Promise<Daemon> => {
  const child = Bun.spawn(argvOf(isolation, roots, options), {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: environmentOf(base, options),
  });
  let log = "";
  const logEnd = (async () => {
    for await (const part of child.stderr) log += Buffer.from(part).toString("utf8");
  })();
  const lines: string[] = [];
  let out = "";
  const outEnd = (async () => {
    for await (const part of child.stdout) {
      out += Buffer.from(part).toString("utf8");
      lines.splice(0, lines.length, ...out.split("\n").slice(0, -1));
    }
  })();
  const ready = (): string | undefined => lines.find((line) => line.startsWith("ready "));
  await until(
    "ready",
    () => ready() !== undefined || child.exitCode !== null || child.signalCode !== null,
    90_000,
    5,
  );
  const line = ready();
  if (line === undefined) {
    await Promise.all([logEnd, outEnd]);
    throw new Error(`the daemon ended with ${await child.exited} before it was ready: ${log}`);
  }
  return {
    roots,
    pid: child.pid,
    addresses: line.split(" ").slice(1),
    exited: child.exited,
    log: () => log,
    end: async (signal) => {
      child.kill(signal);
      const code = await child.exited;
      await Promise.all([logEnd, outEnd]);
      return code;
    },
    signal: (signal) => child.kill(signal),
    ...clientsOf(roots, base),
  };
};

const worldOf = (isolation: Isolation, base: string, all: Roots[], daemons: Daemon[]): World => ({
  isolation,
  base,
  roots: (name) => {
    const folder = `${base}/${name}`;
    mkdirSync(folder);
    const roots = {
      base: folder,
      dataRoot: `${folder}/data`,
      execRoot: `${folder}/exec`,
      socketPath: `${folder}/naru.sock`,
    };
    all.push(roots);
    return roots;
  },
  start: async (roots, options = {}) => {
    const daemon = await start(isolation, base, roots, options);
    daemons.push(daemon);
    return daemon;
  },
  fails: (roots, options = {}) =>
    run(argvOf(isolation, roots, options), {
      timeoutMs: 90_000,
      env: environmentOf(base, options),
    }),
  cli: (args, env = {}) =>
    isolation.exec([...naru, ...args], {
      timeoutMs: 120_000,
      env: { HOME: base, DOCKER_HOST: undefined, NARU_HOST: undefined, ...env },
    }),
  reset: async (roots) => {
    const result = await isolation.exec([
      ...naru,
      "system",
      "reset",
      "--force",
      "--data-root",
      roots.dataRoot,
    ]);
    expect([result.code, result.stderr]).toEqual([0, ""]);
  },
});

const instancesOf = (all: readonly Roots[]): string[] =>
  all.flatMap(({ dataRoot }) => {
    const path = `${dataRoot}/instance`;
    return existsSync(path) ? [`naru-${readFileSync(path, "utf8").trim()}`] : [];
  });

/** Resets what is there of all roots; what is found afterwards. */
const sweep = async (
  world: World,
  before: WorldSnapshot,
  all: readonly Roots[],
): Promise<readonly string[]> => {
  const cgroups = instancesOf(all);
  await Promise.all(
    all.filter(({ dataRoot }) => existsSync(dataRoot)).map((roots) => world.reset(roots)),
  );
  const files = all
    .flatMap(({ dataRoot, execRoot, socketPath }) => [dataRoot, execRoot, socketPath])
    .filter((path) => existsSync(path))
    .map((path) => `file ${path}`);
  const found = await findLeftovers(world.isolation, before, world.base);
  return [...found, ...cgroupsWith(cgroups), ...files];
};

export interface Scenarios {
  /** For what a file needs before its scenarios. */
  readonly world: World;
  /** A test; the logs of its daemons are shown when it fails, and the daemons end with it. */
  readonly scenario: (name: string, body: () => Promise<void>, timeoutMs?: number) => void;
  /** The last test of a file: resets everything, and the world must be as empty as it was. */
  readonly nothingIsLeft: () => void;
}

const SCENARIO_MS = 300_000;

/** One world for the scenarios of a file. */
export const openWorld = async (): Promise<Scenarios> => {
  const base = mkdtempSync("/tmp/naru-daemon-");
  const isolation = await isolate();
  const before = await snapshotWorld(isolation);
  const all: Roots[] = [];
  const daemons: Daemon[] = [];
  const world = worldOf(isolation, base, all, daemons);
  const endDaemons = async (): Promise<void> => {
    for (const daemon of daemons.splice(0)) await daemon.end("SIGKILL");
  };
  afterAll(async () => {
    try {
      await endDaemons();
      await sweep(world, before, all);
    } finally {
      await isolation.stop();
      await run(["rm", "-rf", base]);
    }
  });
  return {
    world,
    scenario: (name, body, timeoutMs = SCENARIO_MS) => {
      const whole = async (): Promise<void> => {
        try {
          await body();
        } catch (error) {
          for (const daemon of daemons) console.error(`--- daemon ${daemon.pid}\n${daemon.log()}`);
          throw error;
        } finally {
          await endDaemons();
        }
      };
      test(name, whole, timeoutMs);
    },
    nothingIsLeft: () => {
      test(
        "system reset leaves nothing of any of them",
        async () => expect(await sweep(world, before, all)).toEqual([]),
        SCENARIO_MS,
      );
    },
  };
};
