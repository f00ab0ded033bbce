/** Sockets on this host behind which an agent of a client answers: what `RUN --mount=type=ssh` mounts. */
import { mkdirSync, rmSync } from "node:fs";
import { type Socket, createServer } from "node:net";
import type { AgentSocket } from "#api/docker/backend.ts";
import { randomHex } from "#lib/clock.ts";
import { listening } from "#daemon/listener.ts";

/** What a killed daemon left goes at the first use. */
let isSwept = false;

/** Nobody else puts anything into `directory`. */
export const openAgentSocket = async (
  directory: string,
  onConnection: (socket: Socket) => void,
): Promise<AgentSocket> => {
  if (!isSwept) rmSync(directory, { recursive: true, force: true });
  isSwept = true;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = `${directory}/${randomHex(8)}.sock`;
  const connected = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    connected.add(socket);
    socket.once("close", () => connected.delete(socket));
    onConnection(socket);
  });
  await listening(server, path, () => server.listen(path));
  return {
    path,
    [Symbol.dispose]: () => {
      server.close();
      for (const socket of connected) socket.destroy();
      rmSync(path, { force: true });
    },
  };
};
