/** The processes beside the daemon: their sockets and what they need of the machine. */
import { lstatSync } from "node:fs";
import { createServer } from "node:net";
import { invariant } from "#lib/errors.ts";
import { type CompanionProcessOptions, runCompanion } from "#companion/process.ts";
import { listening } from "#daemon/listener.ts";
import type { Kernel } from "#kernel/kernel.ts";
import type { ListenIpv6 } from "#network/relayer.ts";
import { createKernel } from "#kernel/real.ts";
import { listenUnixStream } from "#kernel/unix-stream.ts";

const STARTED_MS = 500;

/** The daemon holds the port, maybe for all addresses: it lends it for this moment (SO_REUSEPORT). */
const listenIpv6: ListenIpv6 = async (address, port, onSocket) => {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, onSocket);
  const options = { host: address, port, ipv6Only: true, reusePort: true };
  // A connection to the container belongs to each.
  await listening(server, `[${address}]:${port}`, () => server.listen(options), 2);
  return server;
};

/** A process that serves `open`'s work until it has nothing left to do. */
const serveCompanion = async (
  argv: readonly string[],
  open: CompanionProcessOptions["open"],
): Promise<number> => {
  const [socketPath, build] = argv;
  invariant(socketPath !== undefined && build !== undefined, "a companion: no socket or build");
  const inode = (): number | undefined => lstatSync(socketPath, { throwIfNoEntry: false })?.ino;
  let own: number | undefined;
  await runCompanion({
    build,
    accept: (onConnection) => {
      // Root's alone: it says where names lead.
      const server = listenUnixStream(socketPath, 0o600, onConnection);
      own = inode();
      return server;
    },
    // Not where another has taken its place.
    canBeFound: () => own === inode(),
    open,
  });
  process.exit(0);
};

const smallKernel = (): Kernel => {
  const kernel = createKernel();
  kernel.raiseSoftLimit("nofile");
  setTimeout(() => kernel.releaseCode(), STARTED_MS).unref();
  return kernel;
};

/** `naru _worker network SOCKET BUILD`. Ends when it has nothing left to do. */
export const runNetworkProcess = async (argv: readonly string[]): Promise<number> => {
  const host = smallKernel();
  const { openNetworkProcess } = await import("#network/network-process.ts");
  return await serveCompanion(argv, (logger) =>
    openNetworkProcess({
      host,
      listenTcp: (options) => Bun.listen(options),
      listenIpv6,
      logger,
    }),
  );
};

/** `naru _worker front-door SOCKET BUILD`. Ends when it has nothing left to do. */
export const runDoorProcess = async (argv: readonly string[]): Promise<number> => {
  smallKernel();
  const { openDoor } = await import("#api/door/process.ts");
  const { doorListeners } = await import("#daemon/door-listeners.ts");
  return await serveCompanion(argv, (logger) => openDoor(doorListeners(logger), logger));
};
