/** The registry's listening socket: TCP, plain or with TLS. */
import { readFileSync } from "node:fs";
import { type Server, createServer } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { NaruError } from "#lib/errors.ts";
import type { Logger } from "#lib/log.ts";
import { type Listener, type OnConnection, listening } from "#daemon/listener.ts";
import type { RegistryConfig } from "#daemon/registry/config.ts";

const HANDSHAKE_TIMEOUT_MS = 10_000;

const ADDRESS = /^(?:\[([^\]]+)\]|([^:/]*)):(\d{1,5})$/;

const readPem = (path: string, flag: string): Buffer => {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new NaruError("invalid_argument", `cannot read ${flag} "${path}"`, { cause });
  }
};

const tlsServer = (
  tls: NonNullable<RegistryConfig["tls"]>,
  onConnection: OnConnection,
  log: Logger,
): Server => {
  const cert = readPem(tls.certPath, "--tls-cert");
  const key = readPem(tls.keyPath, "--tls-key");
  const options = {
    cert,
    key,
    minVersion: "TLSv1.2" as const,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    allowHalfOpen: true,
    ALPNProtocols: ["http/1.1"],
  };
  try {
    const server = createTlsServer(options, onConnection);
    server.on("tlsClientError", (error, socket) => {
      log.debug("TLS handshake failed", { error: String(error) });
      socket.destroy();
    });
    return server;
  } catch (cause) {
    throw new NaruError(
      "invalid_argument",
      `--tls-cert "${tls.certPath}" and --tls-key "${tls.keyPath}" do not make a TLS server: ${String(cause)}`,
      { cause },
    );
  }
};

/** The address really taken is in the listener. Throws invalid_argument, or failed_precondition when it is in use. */
export const listenRegistry = async (
  addr: string,
  tls: RegistryConfig["tls"],
  onConnection: OnConnection,
  log: Logger,
): Promise<Listener> => {
  const match = ADDRESS.exec(addr);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new NaruError("invalid_argument", `--addr "${addr}" must be ADDRESS:PORT`);
  }
  const hostname = match[1] ?? (match[2] || "0.0.0.0");
  const server =
    tls === undefined
      ? createServer({ allowHalfOpen: true, noDelay: true }, onConnection)
      : tlsServer(tls, onConnection, log);
  await listening(server, addr, () => server.listen(port, hostname));
  const bound = server.address();
  const taken = bound === null || typeof bound === "string" ? { address: hostname, port } : bound;
  const shown = taken.address.includes(":") ? `[${taken.address}]` : taken.address;
  return {
    address: `${tls === undefined ? "http" : "https"}://${shown}:${taken.port}`,
    close: () => void server.close(),
  };
};
