/** The front door's listening sockets. */
import { type Server, createServer } from "node:net";
import { createSecureContext, createServer as createTlsServer } from "node:tls";
import type { DoorListeners } from "#api/door/process.ts";
import { connectionsAtMost } from "#daemon/listener.ts";
import type { Logger } from "#lib/log.ts";

const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Whoever does not say which name it means. */
const NAMELESS = "";

const listen = async (server: Server, address: string, port: number): Promise<Server> => {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // A connection to the container belongs to each.
  server.maxConnections = connectionsAtMost(2);
  server.once("error", reject);
  server.once("listening", resolve);
  server.listen(port, address);
  await promise;
  return server;
};

export const doorListeners = (log: Logger): DoorListeners => ({
  http: async (address, port, onSocket) => {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, onSocket);
    return await listen(server, address, port);
  },
  https: async (address, port, certificateOf, onSocket) => {
    const server = createTlsServer(
      {
        ...(await certificateOf(NAMELESS)),
        minVersion: "TLSv1.2",
        handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
        ALPNProtocols: ["http/1.1"],
        allowHalfOpen: true,
        SNICallback: (name, done) => {
          certificateOf(name).then(
            (files) => done(null, createSecureContext(files)),
            (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
          );
        },
      },
      onSocket,
    );
    server.on("tlsClientError", (error, socket) => {
      log.debug("TLS handshake failed", { error: String(error) });
      socket.destroy();
    });
    return await listen(server, address, port);
  },
});
