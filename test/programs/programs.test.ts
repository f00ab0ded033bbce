/**
 * Real programs from Dockerfiles as their users write them, each built by docker's classic client, by buildx and by
 * naru, then run and asked. Needs the package mirrors: `npm test -- programs`. Each builder gets a copy of the program
 * with a stamp of its own, so that it copies and compiles by itself; packages are installed by whoever comes first.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect } from "node:net";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";

import { clientBinary } from "../harness/client-binary.ts";
import {
  type NaruDaemon,
  type NaruRoots,
  naruBinary,
  newRoots,
  spawnNaru,
  stopNaru,
} from "../harness/naru.ts";
import { must, run, until } from "../harness/process.ts";
import { buildxAt, good, hasBuildx } from "../harness/buildx-client.ts";
import { isMirrorThere, makeBases } from "./bases.ts";

interface Program {
  readonly name: string;
  /** Where its context is changed for each builder. */
  readonly stamped: string;
  readonly port: number;
  readonly env?: readonly string[];
  /** Asks the running program: by its published port, and within. */
  ask(port: number, inside: (...argv: string[]) => Promise<string>): Promise<void>;
}

const page = async (port: number): Promise<string> =>
  (await fetch(`http://127.0.0.1:${port}/`)).text();

/** Sends a line, resolves with the first bytes that come back. */
const talk = (port: number, line: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(line));
    socket.setTimeout(5_000, () => socket.destroy(new Error("no answer")));
    socket.once("data", (bytes: Buffer) => {
      resolve(bytes.toString());
      socket.destroy();
    });
    socket.once("error", reject);
  });

const says = (text: string) => async (port: number) => {
  expect(await page(port)).toContain(text);
};

const QUERY = "SELECT sum(seats) FROM ferries";

const PROGRAMS: readonly Program[] = [
  {
    name: "redis",
    stamped: "redis.conf",
    port: 6379,
    ask: async (port, inside) => {
      expect(await inside("redis-cli", "ping")).toBe("PONG\n");
      expect(await inside("redis-cli", "set", "ferry", "north")).toBe("OK\n");
      expect(await talk(port, "GET ferry\r\n")).toBe("$5\r\nnorth\r\n");
    },
  },
  {
    name: "postgres",
    stamped: "initdb/01-ferries.sql",
    port: 5432,
    env: ["POSTGRES_PASSWORD=secret"],
    ask: async (_port, inside) => {
      const url = "postgres://postgres:secret@127.0.0.1/postgres";
      await until(
        "PostgreSQL answers",
        () =>
          inside("psql", url, "-c", "SELECT 1").then(
            () => true,
            () => false,
          ),
        30_000,
      );
      expect(await inside("psql", url, "-Atc", QUERY)).toBe("200\n");
      expect(await inside("cat", "/proc/1/comm")).toBe("postgres\n");
    },
  },
  { name: "nginx", stamped: "html/index.html", port: 80, ask: says("<h1>landing</h1>") },
  { name: "node", stamped: "src/server.ts", port: 3000, ask: says("from node, 2000\n") },
  { name: "python", stamped: "app.py", port: 8000, ask: says("from python\n") },
  { name: "go", stamped: "main.go", port: 8080, ask: says("go 1.2.3 as 65534\n") },
  { name: "c", stamped: "server.c", port: 8080, ask: says("from c\n") },
];

/** Appends a comment in the file's own language. */
const stamp = (path: string, text: string): void => {
  const [open, close] = /\.(html)$/.test(path)
    ? ["<!-- ", " -->"]
    : /\.(ts|go|c)$/.test(path)
      ? ["// ", ""]
      : [path.endsWith(".sql") ? "-- " : "# ", ""];
  writeFileSync(path, `\n${open}${text}${close}\n`, { flag: "a" });
};

const hasMirror = await isMirrorThere();
const work = mkdtempSync("/tmp/naru-programs-");
let roots: NaruRoots;
let daemon: NaruDaemon | undefined;

const host = (): string => `unix://${roots.socketPath}`;
const naru = (...args: string[]): Promise<string> =>
  must([naruBinary(), ...args], { env: { NARU_HOST: host() }, timeoutMs: 900_000 });
const docker = (...args: string[]): Promise<string> =>
  must([clientBinary(), "-H", host(), ...args], {
    env: { DOCKER_BUILDKIT: "0" },
    timeoutMs: 900_000,
  });

const BUILDERS: Record<string, (image: string, folder: string) => Promise<unknown>> = {
  classic: (image, folder) => docker("build", "--build-arg", "VERSION=1.2.3", "-t", image, folder),
  buildx: async (image, folder) =>
    good(
      await buildxAt(host(), ["build", "--build-arg", "VERSION=1.2.3", "-t", image, folder], [], {
        timeoutMs: 900_000,
      }),
    ),
  naru: (image, folder) => naru("build", "--build-arg", "VERSION=1.2.3", "-t", image, folder),
};

beforeAll(async () => {
  if (!hasMirror) return;
  roots = newRoots("/tmp/naru-programs-engine-");
  daemon = await spawnNaru(roots);
  await makeBases(naru, work);
}, 600_000);

afterAll(async () => {
  rmSync(work, { recursive: true, force: true });
  if (daemon === undefined) return;
  await stopNaru(daemon);
  const flags = ["--data-root", roots.dataRoot, "--exec-root", roots.execRoot];
  // Gigabytes of bases, packages and layers.
  await must([naruBinary(), "system", "reset", "--force", ...flags], { timeoutMs: 600_000 });
  rmSync(roots.base, { recursive: true, force: true });
}, 700_000);

const proves = async (program: Program, image: string): Promise<void> => {
  const env = (program.env ?? []).flatMap((one) => ["-e", one]);
  const id = (await docker("run", "-d", "-p", `127.0.0.1::${program.port}`, ...env, image)).trim();
  try {
    const shown = await docker("port", id, `${program.port}/tcp`);
    const port = Number(/:(\d+)/.exec(shown)?.[1]);
    const isUp = (): Promise<boolean> =>
      talk(port, "GET / HTTP/1.0\r\n\r\n").then(
        () => true,
        () => false,
      );
    if (program.name !== "postgres") await until(`${program.name} answers`, isUp, 30_000);
    await program.ask(port, (...argv) => docker("exec", id, ...argv));
    const stop = await run([clientBinary(), "-H", host(), "stop", "-t", "20", id]);
    expect(stop.code).toBe(0);
  } catch (error) {
    throw new Error(
      `${String(error)}\n${(await run([clientBinary(), "-H", host(), "logs", id])).stderr}`,
    );
  } finally {
    await docker("rm", "-f", "-v", id);
  }
};

for (const [index, program] of PROGRAMS.entries()) {
  const names = Object.keys(BUILDERS);
  // Another one comes first each time and installs the packages.
  const order = names.map((_, at) => names[(at + index) % names.length] ?? "");
  for (const builder of order) {
    const canRun = hasMirror && (builder !== "buildx" || hasBuildx);
    test.skipIf(!canRun)(
      `${program.name}, built by ${builder}, answers`,
      async () => {
        const folder = `${work}/${program.name}-${builder}`;
        cpSync(`${import.meta.dir}/${program.name}`, folder, { recursive: true });
        stamp(`${folder}/${program.stamped}`, builder);
        const image = `programs/${program.name}:${builder}`;
        await BUILDERS[builder]?.(image, folder);
        await proves(program, image);
      },
      900_000,
    );
  }
}
