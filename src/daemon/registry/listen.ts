/** The registry's listening socket: TCP, plain or with TLS. */
import { X509Certificate, createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { type Server as TlsServer, createServer as createTlsServer } from "node:tls";
import { NaruError, toNaruError } from "#lib/errors.ts";
import type { Logger } from "#lib/log.ts";
import { type Listener, type OnConnection, listening } from "#daemon/listener.ts";
import type { RegistryConfig } from "#daemon/registry/config.ts";

const HANDSHAKE_TIMEOUT_MS = 10_000;

const ADDRESS = /^(?:\[([^\]]+)\]|([^:/]*)):(\d{1,5})$/;

const readPem = (path: string, flag: string): Buffer => {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new NaruError(
      "invalid_argument",
      `cannot read ${flag} "${path}": ${toNaruError(cause).message}`,
      {
        cause,
      },
    );
  }
};

const pemOf = (tls: NonNullable<RegistryConfig["tls"]>): { cert: Buffer; key: Buffer } => {
  const cert = readPem(tls.certPath, "--tls-cert");
  const key = readPem(tls.keyPath, "--tls-key");
  let fits = false;
  try {
    fits = new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    throw new NaruError(
      "invalid_argument",
      `--tls-cert "${tls.certPath}" and --tls-key "${tls.keyPath}" do not make a TLS server: ${String(cause)}`,
      { cause },
    );
  }
  if (fits) return { cert, key };
  throw new NaruError(
    "invalid_argument",
    `--tls-key "${tls.keyPath}" is not the key of --tls-cert "${tls.certPath}"`,
  );
};

const tlsServer = (
  tls: NonNullable<RegistryConfig["tls"]>,
  onConnection: OnConnection,
  log: Logger,
): TlsServer => {
  const options = {
    ...pemOf(tls),
    minVersion: "TLSv1.2" as const,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    allowHalfOpen: true,
    ALPNProtocols: ["http/1.1"],
  };
  const server = createTlsServer(options, onConnection);
  server.on("tlsClientError", (error, socket) => {
    log.debug("TLS handshake failed", { error: String(error) });
    socket.destroy();
  });
  return server;
};

export interface RegistryListener extends Listener {
  /** For connections from now on. Throws invalid_argument for what makes no TLS server, and changes nothing. */
  renewCertificate(tls: NonNullable<RegistryConfig["tls"]>): void;
}

/** The address really taken is in the listener. Throws invalid_argument, or failed_precondition when it is in use. */
export const listenRegistry = async (
  addr: string,
  tls: RegistryConfig["tls"],
  onConnection: OnConnection,
  log: Logger,
): Promise<RegistryListener> => {
  const match = ADDRESS.exec(addr);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new NaruError("invalid_argument", `--addr "${addr}" must be ADDRESS:PORT`);
  }
  const hostname = match[1] ?? (match[2] || "0.0.0.0");
  const secure = tls === undefined ? undefined : tlsServer(tls, onConnection, log);
  const server = secure ?? createServer({ allowHalfOpen: true, noDelay: true }, onConnection);
  await listening(server, addr, () => server.listen(port, hostname));
  const bound = server.address();
  const taken = bound === null || typeof bound === "string" ? { address: hostname, port } : bound;
  const shown = taken.address.includes(":") ? `[${taken.address}]` : taken.address;
  return {
    address: `${tls === undefined ? "http" : "https"}://${shown}:${taken.port}`,
    close: () => void server.close(),
    renewCertificate: (renewed) => secure?.setSecureContext(pemOf(renewed)),
  };
};
