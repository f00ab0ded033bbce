/** The daemon's sockets: unix (0660, group docker where there is one) and TCP with TLS. */
import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { type AddressInfo, type Server, connect, createServer } from "node:net";
import { dirname } from "node:path";
import type { Duplex } from "node:stream";
import { createServer as createTlsServer } from "node:tls";
import { NaruError } from "#lib/errors.ts";
import type { Logger } from "#lib/log.ts";
import type { DaemonConfig, TlsConfig } from "#daemon/config.ts";

export interface Listener {
  /** "unix:///run/naru/naru.sock" or "tcp://127.0.0.1:2376", with the port really taken. */
  readonly address: string;
  close(): void;
}

type OnConnection = (socket: Duplex) => void;

const groupIdOf = (name: string): number | undefined => {
  if (/^\d+$/.test(name)) return Number(name);
  const line = readFileSync("/etc/group", "utf8")
    .split("\n")
    .find((entry) => entry.startsWith(`${name}:`));
  return line === undefined ? undefined : Number(line.split(":")[2]);
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

const listening = (server: Server, what: string, listen: () => void): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      reject(
        new NaruError("failed_precondition", `cannot listen on "${what}": ${cause.message}`, {
          cause,
        }),
      );
    });
    server.once("listening", () => resolve());
    listen();
  });

const listenUnix = async (
  path: string,
  group: string,
  onConnection: OnConnection,
): Promise<Listener> => {
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
  const gid = groupIdOf(group);
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

const readPem = (path: string, what: string): Buffer => {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new NaruError("invalid_argument", `cannot read ${what} "${path}"`, { cause });
  }
};

const tlsServer = (tls: TlsConfig, onConnection: OnConnection, log: Logger): Server => {
  const server = createTlsServer(
    {
      cert: readPem(tls.certPath, "--tlscert"),
      key: readPem(tls.keyPath, "--tlskey"),
      ...(tls.caPath === undefined ? {} : { ca: readPem(tls.caPath, "--tlscacert") }),
      requestCert: tls.verifiesClients,
      rejectUnauthorized: tls.verifiesClients,
      minVersion: "TLSv1.2",
      allowHalfOpen: true,
    },
    onConnection,
  );
  server.on("tlsClientError", (error) =>
    log.debug("TLS handshake failed", { error: String(error) }),
  );
  return server;
};

const listenTcp = async (
  host: string,
  config: DaemonConfig,
  onConnection: OnConnection,
  log: Logger,
): Promise<Listener> => {
  const match = /^tcp:\/\/(\[[^\]]+\]|[^:/]*)(?::(\d+))?\/?$/.exec(host);
  if (match === null)
    throw new NaruError("invalid_argument", `"${host}" is not an address: use tcp://ADDRESS:PORT`);
  const hostname = (match[1] || "127.0.0.1").replace(/^\[|\]$/g, "");
  if (config.tls === undefined && !config.allowsInsecureTcp) {
    throw new NaruError(
      "failed_precondition",
      `"${host}" without TLS would give this machine to whoever reaches the port: add --tlsverify --tlscacert --tlscert --tlskey, or write out --insecure-tcp`,
    );
  }
  if (config.tls === undefined)
    log.warn("TCP without TLS: whoever reaches this port owns this machine", { host });
  if (config.tls !== undefined && !config.tls.verifiesClients) {
    throw new NaruError(
      "failed_precondition",
      `"${host}": TLS without --tlsverify lets everybody in: add --tlsverify --tlscacert`,
    );
  }
  const port = Number(match[2] ?? (config.tls === undefined ? 2375 : 2376));
  const server =
    config.tls === undefined
      ? createServer({ allowHalfOpen: true, noDelay: true }, onConnection)
      : tlsServer(config.tls, onConnection, log);
  await listening(server, host, () => server.listen(port, hostname));
  const { port: taken } = server.address() as AddressInfo;
  const shown = hostname.includes(":") ? `[${hostname}]` : hostname;
  return { address: `tcp://${shown}:${taken}`, close: () => void server.close() };
};

/** All of the config's hosts, or none. */
export const listenOn = async (
  config: DaemonConfig,
  onConnection: OnConnection,
  log: Logger,
): Promise<Listener[]> => {
  await using undo = new AsyncDisposableStack();
  const listeners: Listener[] = [];
  for (const host of config.hosts) {
    let listener: Listener;
    if (host.startsWith("unix://"))
      listener = await listenUnix(host.slice(7), config.group, onConnection);
    else if (host.startsWith("tcp://")) listener = await listenTcp(host, config, onConnection, log);
    else
      throw new NaruError(
        "invalid_argument",
        `"${host}" is not a host to listen on: use unix://PATH or tcp://ADDRESS:PORT`,
      );
    undo.defer(() => listener.close());
    listeners.push(listener);
  }
  undo.move();
  return listeners;
};
