import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import type { BuildDependencies } from "#build/dependencies.ts";
import { ContainerExits, openContainer } from "#build/llb/container.ts";
import type { ContainerProcessRequest, ContainerRequest } from "#build/llb/llb.ts";

const FIRST_PID = 1001;
const NETWORK_HOST = 1;

const asked: ContainerProcessRequest = {
  args: ["sh"],
  env: [],
  user: "",
  workingDir: "",
  isTty: false,
  hasStdin: false,
  security: 0,
  secretEnv: [],
};

/** A runtime that creates and further starts when it is told to; nothing ends but by SIGKILL. */
const setUp = async () => {
  const root = mkdtempSync(`${tmpdir()}/container-`);
  const calls: string[] = [];
  const created = Promise.withResolvers<{ pid: number }>();
  const beside = Promise.withResolvers<number>();
  let tell: (notice: { id: string; exitCode: number }) => void = () => undefined;
  let own = "";
  const stdio = { close: () => undefined };
  const runtime = {
    onExit: (listener: typeof tell) => (tell = listener),
    pastExit: () => undefined,
    create: ({ id }: { id: string }) => {
      own = id;
      calls.push("create");
      return created.promise;
    },
    attach: () => stdio,
    start: () => Promise.resolve(),
    exec: () => Promise.resolve({ pid: () => 0, stdio, exited: beside.promise }),
    delete: () => Promise.resolve(void calls.push("delete")),
  };
  const kernel = {
    kill: (pid: number, signal: number) => {
      calls.push(`kill ${pid} ${signal}`);
      tell({ id: own, exitCode: 137 });
      beside.resolve(137);
      return true;
    },
  };
  const snapshots = {
    prepare: () => calls.push("prepare"),
    mount: () => root,
    remove: () => calls.push("remove"),
  };
  const dependencies = {
    runtime,
    kernel,
    snapshots,
    network: { hostGateway: () => "192.0.2.1" },
    configs: { configOf: () => ({ process: {} }) },
    paths: { bundles: root },
    cgroupParent: "/naru",
  } as unknown as BuildDependencies;
  const rooms = {
    dependencies,
    solver: { hold: () => ({ [Symbol.dispose]: () => calls.push("unhold") }) } as never,
    cacheMounts: {} as never,
    exits: new ContainerExits(dependencies.runtime),
  };
  const request = {
    name: "it",
    mounts: [{ mount: { dest: "/" }, tree: undefined }],
    network: NETWORK_HOST,
    extraHosts: [],
    hostname: "",
    client: {},
    entitlements: ["network.host"],
    signal: new AbortController().signal,
  } as unknown as ContainerRequest;
  const container = await openContainer(rooms, request);
  const clean = { [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }) };
  const bundles = () => (existsSync(root) ? readdirSync(root) : []);
  return { container, calls, created, clean, bundles };
};

test("a container that is let go while its first process is being made leaves nothing", async () => {
  const { container, calls, created, clean, bundles } = await setUp();
  using _clean = clean;
  const starting = container.start(asked);
  while (!calls.includes("create")) await Promise.resolve();
  const gone = container[Symbol.asyncDispose]();
  created.resolve({ pid: FIRST_PID });
  expect(await (await starting).exited).toBe(137);
  await gone;
  expect(calls).toEqual(["prepare", "create", `kill ${FIRST_PID} 9`, "delete", "remove", "unhold"]);
  expect(bundles()).toEqual([]);
});

test("a further process whose number nobody knows yet ends with the first one", async () => {
  const { container, calls, created, clean } = await setUp();
  using _clean = clean;
  created.resolve({ pid: FIRST_PID });
  await container.start(asked);
  const further = await container.start(asked);
  await container[Symbol.asyncDispose]();
  expect(await further.exited).toBe(137);
  expect(calls).toContain("delete");
});
