/** The daemon's sockets: unix (0660, group docker where there is one), TCP with TLS, passed ones. */
import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { connect, createServer } from "node:net";
import { dirname } from "node:path";
import { NaruError } from "#lib/errors.ts";
import type { Logger } from "#lib/log.ts";
import type { SocketKernel } from "#kernel/kernel.ts";
import type { DaemonConfig } from "#daemon/config.ts";
import { listenPassed, passedDescriptors } from "#daemon/listen-passed.ts";
import { listenTcp } from "#daemon/listen-tcp.ts";
import { type Listener, type OnConnection, listening } from "#daemon/listener.ts";

/** struct sockaddr_un holds 107 bytes and a NUL. */
const MAX_PATH_BYTES = 107;
const DEFAULT_GROUP = "docker";

/** undefined where the default group does not exist: root alone then. One that was asked for must. */
const groupIdOf = (asked: string | undefined): number | undefined => {
  const name = asked ?? DEFAULT_GROUP;
  if (name === "") return undefined;
  if (/^\d+$/.test(name)) return Number(name);
  const line = readFileSync("/etc/group", "utf8")
    .split("\n")
    .find((entry) => entry.startsWith(`${name}:`));
  if (line !== undefined) return Number(line.split(":")[2]);
  if (asked === undefined) return undefined;
  throw new NaruError(
    "failed_precondition",
    `group "${name}" does not exist: groupadd ${name}, or choose another --group`,
  );
};

const isAnswered = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });

/** A socket file that nobody answers on is a dead daemon's and goes. */
const clearPath = async (path: string): Promise<void> => {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) {
    throw new NaruError(
      "failed_precondition",
      `cannot listen on "${path}": a file that is no socket stands there`,
    );
  }
  if (await isAnswered(path)) {
    throw new NaruError(
      "failed_precondition",
      `cannot listen on "${path}": another daemon answers there`,
    );
  }
  rmSync(path);
};

const listenUnix = async (
  path: string,
  group: string | undefined,
  onConnection: OnConnection,
): Promise<Listener> => {
  if (!path.startsWith("/"))
    throw new NaruError("invalid_argument", `"unix://${path}" needs an absolute path`);
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw new NaruError(
      "invalid_argument",
      `cannot listen on "${path}": a socket's path has at most ${MAX_PATH_BYTES} bytes`,
    );
  }
  const gid = groupIdOf(group);
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  await clearPath(path);
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: false }, onConnection);
  // Nobody but root may connect between bind and chmod.
  const mask = process.umask(0o177);
  try {
    await listening(server, path, () => server.listen(path));
  } finally {
    process.umask(mask);
  }
  if (gid !== undefined) chownSync(path, 0, gid);
  chmodSync(path, 0o660);
  return {
    address: `unix://${path}`,
    close: () => {
      server.close();
      rmSync(path, { force: true });
    },
  };
};

export interface ListenContext {
  readonly kernel: Pick<SocketKernel, "localAddress">;
  /** See `takeServiceManager`. */
  readonly passedSocketCount: number;
  readonly onConnection: OnConnection;
  readonly log: Logger;
}

const listenHost = async (
  host: string,
  config: DaemonConfig,
  { kernel, passedSocketCount, onConnection, log }: ListenContext,
): Promise<Listener[]> => {
  if (host.startsWith("unix://"))
    return [await listenUnix(host.slice("unix://".length), config.group, onConnection)];
  if (host.startsWith("tcp://")) return [await listenTcp(host, config, onConnection, log)];
  if (host.startsWith("fd://")) {
    const descriptors = passedDescriptors(host, passedSocketCount);
    return Promise.all(
      descriptors.map((fd) => listenPassed(fd, kernel, config, onConnection, log)),
    );
  }
  throw new NaruError(
    "invalid_argument",
    `"${host}" is not a host to listen on: use unix://PATH, tcp://ADDRESS:PORT or fd://`,
  );
};

/** All of the config's hosts, or none. */
export const listenOn = async (
  config: DaemonConfig,
  context: ListenContext,
): Promise<Listener[]> => {
  await using undo = new AsyncDisposableStack();
  const listeners: Listener[] = [];
  for (const host of config.hosts) {
    for (const listener of await listenHost(host, config, context)) {
      undo.defer(() => listener.close());
      listeners.push(listener);
    }
  }
  undo.move();
  return listeners;
};
