/** TCP: with TLS that asks every client for a certificate, or in the open where that is written out. */
import { readFileSync } from "node:fs";
import { type Server, createServer } from "node:net";
import { type TLSSocket, createServer as createTlsServer } from "node:tls";
import { NaruError } from "#lib/errors.ts";
import type { Logger } from "#lib/log.ts";
import type { DaemonConfig, TlsConfig } from "#daemon/config.ts";
import { type Listener, type OnConnection, listening } from "#daemon/listener.ts";

const PORT_PLAIN = 2375;
const PORT_TLS = 2376;
const HANDSHAKE_TIMEOUT_MS = 10_000;

const readPem = (path: string, flag: string): Buffer => {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new NaruError("invalid_argument", `cannot read ${flag} "${path}"`, { cause });
  }
};

const tlsServer = (tls: TlsConfig, onConnection: OnConnection, log: Logger): Server => {
  const files = {
    cert: readPem(tls.certPath, "--tlscert"),
    key: readPem(tls.keyPath, "--tlskey"),
    ...(tls.caPath === undefined ? {} : { ca: readPem(tls.caPath, "--tlscacert") }),
  };
  const onSecure = (socket: TLSSocket): void => {
    // The handshake refuses them already; a second lock, for this door is root's.
    if (socket.authorized) onConnection(socket);
    else socket.destroy();
  };
  try {
    const server = createTlsServer(
      {
        ...files,
        requestCert: true,
        rejectUnauthorized: true,
        minVersion: "TLSv1.2",
        handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
        allowHalfOpen: true,
      },
      onSecure,
    );
    server.on("tlsClientError", (error, socket) => {
      log.debug("TLS handshake failed", { error: String(error) });
      // One that timed out would stay open for as long as its client likes.
      socket.destroy();
    });
    return server;
  } catch (cause) {
    throw new NaruError(
      "invalid_argument",
      `--tlscert "${tls.certPath}" and --tlskey "${tls.keyPath}" do not make a TLS server: ${String(cause)}`,
      { cause },
    );
  }
};

/** Refuses what would let everybody in. `what`: the host as it was asked for. */
export const tcpServer = (
  what: string,
  config: DaemonConfig,
  onConnection: OnConnection,
  log: Logger,
): Server => {
  const { tls } = config;
  if (tls?.verifiesClients === false) {
    throw new NaruError(
      "failed_precondition",
      `"${what}": TLS without --tlsverify lets everybody in: add --tlsverify --tlscacert`,
    );
  }
  if (tls !== undefined) return tlsServer(tls, onConnection, log);
  if (!config.allowsInsecureTcp) {
    throw new NaruError(
      "failed_precondition",
      `"${what}" without TLS would give this machine to whoever reaches the port: add --tlsverify --tlscacert --tlscert --tlskey, or write out --insecure-tcp`,
    );
  }
  log.warn("TCP without TLS: whoever reaches this port owns this machine", { host: what });
  return createServer({ allowHalfOpen: true, noDelay: true }, onConnection);
};

/** "tcp://127.0.0.1:2376" with the port really taken. */
export const tcpAddressOf = (server: Server): string => {
  const bound = server.address();
  if (bound === null || typeof bound === "string") return "tcp://?";
  const shown = bound.address.includes(":") ? `[${bound.address}]` : bound.address;
  return `tcp://${shown}:${bound.port}`;
};

export const listenTcp = async (
  host: string,
  config: DaemonConfig,
  onConnection: OnConnection,
  log: Logger,
): Promise<Listener> => {
  const match = /^tcp:\/\/(\[[^\]]+\]|[^:/]*)(?::(\d+))?\/?$/.exec(host);
  if (match === null)
    throw new NaruError("invalid_argument", `"${host}" is not an address: use tcp://ADDRESS:PORT`);
  const hostname = (match[1] || "127.0.0.1").replace(/^\[|\]$/g, "");
  const port = Number(match[2] ?? (config.tls === undefined ? PORT_PLAIN : PORT_TLS));
  if (port > 65_535) throw new NaruError("invalid_argument", `"${host}": there is no such port`);
  const server = tcpServer(host, config, onConnection, log);
  await listening(server, host, () => server.listen(port, hostname));
  return { address: tcpAddressOf(server), close: () => void server.close() };
};
