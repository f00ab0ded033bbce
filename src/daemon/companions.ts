/** The processes beside the daemon: their sockets and what they need of the machine. */
import { chmodSync } from "node:fs";
import { type Socket, createServer } from "node:net";
import { invariant } from "#lib/errors.ts";
import { runCompanion } from "#companion/process.ts";
import { listening } from "#daemon/listener.ts";
import { createKernel } from "#kernel/real.ts";
import { openNames } from "#network/names-process.ts";

const STARTED_MS = 500;

const listenUnix = async (path: string, onSocket: (socket: Socket) => void) => {
  const server = createServer(onSocket);
  await listening(server, path, () => server.listen(path));
  // Root's alone: it says where names lead.
  chmodSync(path, 0o600);
  return server;
};

/** `naru _worker names SOCKET BUILD`. Ends when it has nothing left to do. */
export const runNamesProcess = async (argv: readonly string[]): Promise<number> => {
  const [socketPath, build] = argv;
  invariant(socketPath !== undefined && build !== undefined, "names: no socket or build");
  const kernel = createKernel();
  kernel.raiseSoftLimit("nofile");
  setTimeout(() => kernel.releaseCode(), STARTED_MS).unref();
  await runCompanion({
    build,
    accept: (onSocket) => listenUnix(socketPath, onSocket),
    open: (logger) =>
      openNames({ host: kernel, listenTcp: (options) => Bun.listen(options), logger }),
  });
  process.exit(0);
};
