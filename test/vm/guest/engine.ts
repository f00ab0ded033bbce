/** naru inside of the machine: the daemon, requests on its socket, and its command line. */
import { AsyncLocalStorage } from "node:async_hooks";
import { readFileSync } from "node:fs";

import { api, hijack, streamText, type Reply } from "../../harness/http.ts";
import { run, until, type Output } from "../../harness/process.ts";

export const SOCKET = "/run/naru/naru.sock";
export const DATA_ROOT = "/var/lib/naru";
export const CGROUPS = "/sys/fs/cgroup";
export const NARU = "/payload/naru";
export const IMAGE = "naru/hello:latest";

/** What init.sh set for the checks alone: with BUN_BE_BUN the binary is Bun, without it naru. */
const ENVIRONMENT = {
  BUN_BE_BUN: undefined,
  BUN_JSC_useJIT: undefined,
  NARU_HOST: `unix://${SOCKET}`,
};

/** Names of containers that the present check made: checks run side by side. */
export const madeByCheck = new AsyncLocalStorage<string[]>();

export interface Daemon {
  readonly readyMs: number;
  readonly child: Bun.Subprocess<"ignore", "pipe", "inherit">;
}

/** Resolves at its `ready` line. Its log goes to the console. */
export const startDaemon = async (): Promise<Daemon> => {
  const began = performance.now();
  const child = Bun.spawn([NARU, "daemon"], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
    env: { ...process.env, ...ENVIRONMENT },
  });
  const reader = child.stdout.getReader();
  const { value, done } = await reader.read();
  const text = new TextDecoder().decode(value);
  if (done || !text.startsWith("ready")) {
    throw new Error(`the daemon did not start (exit ${await child.exited}): ${text}`);
  }
  reader.releaseLock();
  return { readyMs: Math.round(performance.now() - began), child };
};

export const naru = (...args: string[]): Promise<Output> =>
  run([NARU, ...args], { env: ENVIRONMENT });

/** A request that must succeed. */
export const call = async (method: string, path: string, body?: unknown): Promise<Reply> => {
  const reply = await api(SOCKET, method, path, body === undefined ? {} : { body });
  if (reply.status >= 400) {
    throw new Error(`${method} ${path}: ${reply.status} ${reply.text.trim()}`);
  }
  return reply;
};

export interface Inspect {
  readonly Id: string;
  readonly State: {
    readonly Status: string;
    readonly Running: boolean;
    readonly Paused: boolean;
    readonly OOMKilled: boolean;
    readonly ExitCode: number;
    readonly Pid: number;
  };
  readonly HostConfig: Readonly<Record<string, unknown>>;
}

export const inspect = async (name: string): Promise<Inspect> =>
  (await call("GET", `/containers/${name}/json`)).json<Inspect>();

export const remove = async (name: string): Promise<void> => {
  const reply = await api(SOCKET, "DELETE", `/containers/${name}?force=1&v=1`);
  if (reply.status !== 204 && reply.status !== 404) {
    throw new Error(`remove ${name}: ${reply.status} ${reply.text}`);
  }
};

export interface Container {
  readonly name: string;
  readonly id: string;
  /** Its cgroup's directory on the host. */
  readonly cgroup: string;
}

export const instance = (): string => readFileSync(`${DATA_ROOT}/instance`, "utf8").trim();

let counter = 0;

/** Creates and starts `sh -c script`; removed at the end of the check. */
export const up = async (
  script: string,
  hostConfig: Readonly<Record<string, unknown>> = {},
  config: Readonly<Record<string, unknown>> = {},
): Promise<Container> => {
  counter += 1;
  const name = `vm-${counter}`;
  madeByCheck.getStore()?.push(name);
  const created = await call("POST", `/containers/create?name=${name}`, {
    Image: IMAGE,
    Cmd: ["sh", "-c", script],
    ...config,
    HostConfig: hostConfig,
  });
  const { Id: id } = created.json<{ Id: string }>();
  await call("POST", `/containers/${id}/start`);
  return { name, id, cgroup: `${CGROUPS}/naru-${instance()}/${id}` };
};

export const idle = (hostConfig: Readonly<Record<string, unknown>> = {}): Promise<Container> =>
  up("trap exit TERM; while :; do sleep 60 & wait; done", hostConfig);

/** The exit code. */
export const waitFor = async (name: string): Promise<number> =>
  (await call("POST", `/containers/${name}/wait`)).json<{ StatusCode: number }>().StatusCode;

/** Standard output of the container so far. */
export const logs = async (name: string): Promise<string> =>
  streamText((await call("GET", `/containers/${name}/logs?stdout=1&stderr=1`)).body, 1);

/** `sh -c script` in a running container: its output, both streams. */
export const exec = async (name: string, script: string): Promise<string> => {
  const created = await call("POST", `/containers/${name}/exec`, {
    AttachStdout: true,
    AttachStderr: true,
    Cmd: ["sh", "-c", script],
  });
  const { Id: id } = created.json<{ Id: string }>();
  const connection = await hijack(SOCKET, "POST", `/exec/${id}/start`, {
    body: { Detach: false, Tty: false },
  });
  const bytes = await connection.rest();
  connection.destroy();
  return (streamText(bytes, 1) + streamText(bytes, 2)).trim();
};

/** Runs `sh -c script` to its end in a container of its own: its standard output, trimmed. */
export const output = async (
  script: string,
  hostConfig: Readonly<Record<string, unknown>> = {},
): Promise<string> => {
  const container = await up(script, hostConfig);
  await waitFor(container.name);
  return (await logs(container.name)).trim();
};

/** A cgroup file, trimmed. */
export const cgroupFile = (container: Container, file: string): string =>
  readFileSync(`${container.cgroup}/${file}`, "utf8").trim();

/** One number of a cgroup file of lines `name value`. */
export const cgroupCount = (container: Container, file: string, name: string): number => {
  const line = cgroupFile(container, file)
    .split("\n")
    .find((text) => text.startsWith(`${name} `));
  if (line === undefined) throw new Error(`${container.cgroup}/${file} has no "${name}"`);
  return Number(line.slice(name.length + 1));
};

export { until };
