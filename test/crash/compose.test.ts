/** A project coming up or going down while the daemon dies; address pools and ports that are not there. */
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";

import { dockerComposeBinary } from "../harness/compose-binary.ts";
import { naruBinary } from "../harness/naru.ts";
import { run, until, type Output } from "../harness/process.ts";
import { IMAGE, withWorld, type CrashWorld } from "./world.ts";

const COUNT = 6;

const chain = (extra = ""): string => {
  const services = Array.from({ length: COUNT }, (_, at) => {
    const needs = at === 0 ? "" : `, depends_on: [s${at - 1}]`;
    return `  s${at}: {image: "${IMAGE}", command: sleep 600, init: true, volumes: ["data:/data"]${needs}}`;
  });
  return `services:\n${services.join("\n")}\n${extra}volumes: {data: {}}\n`;
};

interface Project {
  readonly folder: string;
  write(text: string): void;
  compose(...args: string[]): Promise<Output>;
  ok(...args: string[]): Promise<void>;
  /** Names of the project's containers, networks and volumes that are there. */
  things(): Promise<string[]>;
  running(): Promise<number>;
}

const TOOLS: Readonly<Record<string, readonly string[]>> = {
  ...(dockerComposeBinary === undefined ? {} : { docker: [dockerComposeBinary] }),
  naru: [naruBinary(), "compose"],
};

const projectIn = (w: CrashWorld, tool = "naru", text = chain()): Project => {
  const folder = `${w.roots.base}/chain`;
  mkdirSync(folder, { recursive: true });
  const host = `unix://${w.roots.socketPath}`;
  const env = { NARU_HOST: host, DOCKER_HOST: host, HOME: folder };
  const filters = encodeURIComponent('{"label":["com.docker.compose.project=chain"]}');
  const write = (changed: string): void => writeFileSync(`${folder}/compose.yaml`, changed);
  write(text);
  const get = async <T>(path: string): Promise<T> => (await w.api("GET", path)).json<T>();
  const compose = (...args: string[]): Promise<Output> =>
    run([...(TOOLS[tool] ?? []), ...args], { cwd: folder, env, timeoutMs: 240_000 });
  return {
    folder,
    write,
    compose,
    ok: async (...args) => {
      const out = await compose(...args);
      if (out.code !== 0) throw new Error(`compose ${args.join(" ")}: ${out.code}\n${out.stderr}`);
    },
    things: async () => {
      const containers = await get<{ Names: string[] }[]>(
        `/containers/json?all=1&filters=${filters}`,
      );
      const networks = await get<{ Name: string }[]>(`/networks?filters=${filters}`);
      const { Volumes } = await get<{ Volumes: { Name: string }[] | null }>(
        `/volumes?filters=${filters}`,
      );
      return [
        ...containers.map(({ Names }) => Names.join()),
        ...[...networks, ...(Volumes ?? [])].map(({ Name }) => Name),
      ];
    },
    running: async () => (await get<unknown[]>(`/containers/json?filters=${filters}`)).length,
  };
};

/** Again, with a daemon that lives: all of it is there, then nothing. */
const converges = async (p: Project): Promise<void> => {
  await p.ok("up", "-d");
  expect(await p.running()).toBe(COUNT);
  await p.ok("down", "-v", "-t", "0");
  expect(await p.things()).toEqual([]);
};

const MID_UP = [
  "network.after-row",
  "create.after-row",
  "start.after-network",
  "start.after-runtime-start",
  "start.after-row",
];
const MID_DOWN = [
  "stop.after-signal",
  "exit.before-row",
  "remove.before-row",
  "network-remove.after-row",
];

for (const tool of Object.keys(TOOLS)) {
  test(`${tool}: the daemon dies mid-up, wherever: the command says so, up again converges`, async () => {
    await withWorld(async (w) => {
      const p = projectIn(w, tool);
      for (const failpoint of MID_UP) {
        await w.stop();
        await w.start(failpoint);
        const out = await p.compose("up", "-d");
        expect([failpoint, out.code === 0, out.stderr.trim() === ""]).toEqual([
          failpoint,
          false,
          false,
        ]);
        await w.died();
        await w.start();
        await converges(p);
      }
    });
  }, 400_000);

  test(`${tool}: the daemon dies mid-down, wherever: down again leaves nothing, or up all`, async () => {
    await withWorld(async (w) => {
      const p = projectIn(w, tool);
      for (const failpoint of MID_DOWN) {
        await p.ok("up", "-d");
        await w.stop();
        await w.start(failpoint);
        await p.compose("down", "-v", "-t", "0");
        await w.died();
        await w.start();
        await (failpoint === "remove.before-row" ? p.ok("down", "-v", "-t", "0") : converges(p));
        expect(await p.things()).toEqual([]);
      }
    });
  }, 400_000);
}

test("kill -9 of the daemon with half of the project up: the half runs on, up adds the rest", async () => {
  await withWorld(async (w) => {
    const half = COUNT / 2;
    // The second half waits for a file.
    const check = 'healthcheck: {test: "test -e /go", interval: 200ms, retries: 100000}';
    const needs = `depends_on: {s${half - 1}: {condition: service_healthy}}`;
    const text = chain()
      .replace(`s${half - 1}: {`, `s${half - 1}: {${check}, `)
      .replace(`depends_on: [s${half - 1}]`, needs);
    const p = projectIn(w, "naru", text);
    const up = p.compose("up", "-d");
    await until("half of it runs", async () => (await p.running()) === half);
    await w.kill();
    expect((await up).code).not.toBe(0);
    await w.start();
    expect(await p.running()).toBe(half);
    const go = async (): Promise<unknown> => w.cli("exec", `chain-s${half - 1}-1`, "touch", "/go");
    expect(await go()).toMatchObject({ code: 0 });
    await converges(p);
  });
}, 400_000);

test("no address pool is left: the error names the network and the remedy, nothing is left behind", async () => {
  await withWorld(async (w) => {
    await w.stop();
    await w.start(undefined, ["--default-address-pool", "base=10.211.0.0/29,size=30"]);
    const p = projectIn(w);
    for (const name of ["one", "two"]) await w.cli("network", "create", name);
    const out = await p.compose("up", "-d");
    expect(out.code).toBe(1);
    expect(out.stderr).toContain("chain_default");
    expect(out.stderr).toMatch(/address pool/);
    expect((await p.things()).filter((name) => name !== "chain_data")).toEqual([]);
    for (const name of ["one", "two"]) await w.cli("network", "rm", name);
    await p.ok("down", "-v");
    expect(await p.things()).toEqual([]);
  });
}, 400_000);

test("a taken port: the error names it, the others are as they were, up converges once it is free", async () => {
  await withWorld(async (w) => {
    const web = `  web: {image: "${IMAGE}", command: sleep 600, init: true, ports: ["127.0.0.1:18999:80"], depends_on: [s0]}\n`;
    const p = projectIn(w, "naru", chain(web));
    expect(
      (await w.cli("run", "-d", "--name", "holder", "-p", "18999:80", IMAGE, "sleep", "600")).code,
    ).toBe(0);
    const out = await p.compose("up", "-d");
    expect(out.code).toBe(1);
    expect(out.stderr).toContain("18999");
    expect(await w.state("chain-web-1")).toMatchObject({ Status: "created", Running: false });
    await w.cli("rm", "-f", "holder");
    await p.ok("up", "-d");
    expect(await p.running()).toBe(COUNT + 1);
    await p.ok("down", "-v", "-t", "0");
    expect(await p.things()).toEqual([]);
  });
}, 400_000);

test("a service that never gets healthy: who waits says why, then down leaves nothing", async () => {
  await withWorld(async (w) => {
    const sick = `  sick: {image: "${IMAGE}", command: sleep 600, init: true, healthcheck: {test: "echo no sea; exit 1", interval: 100ms, retries: 2}}
  waits: {image: "${IMAGE}", command: sleep 600, init: true, depends_on: {sick: {condition: service_healthy}}}\n`;
    const p = projectIn(w, "naru", chain(sick));
    const out = await p.compose("up", "-d");
    expect(out.code).toBe(1);
    expect(out.stderr).toContain('"chain-sick-1" is unhealthy: no sea');
    expect(await w.state("chain-waits-1")).toMatchObject({ Status: "created" });
    p.write(chain(sick.replace("exit 1", "exit 0")));
    await p.ok("up", "-d");
    expect(await p.running()).toBe(COUNT + 2);
    await p.ok("down", "-v", "-t", "0");
    expect(await p.things()).toEqual([]);
  });
}, 400_000);
