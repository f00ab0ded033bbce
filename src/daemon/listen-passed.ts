/** fd://: sockets that a service manager opened and passed on (sd_listen_fds(3)). */
import { createServer } from "node:net";
import { NaruError } from "#lib/errors.ts";
import type { Logger } from "#lib/log.ts";
import type { SocketKernel } from "#kernel/kernel.ts";
import type { DaemonConfig } from "#daemon/config.ts";
import { tcpAddressOf, tcpServer } from "#daemon/listen-tcp.ts";
import { type Listener, type OnConnection, listening } from "#daemon/listener.ts";

/** SD_LISTEN_FDS_START */
const FIRST_FD = 3;

/** Pure: "fd://" and "fd://*" are all that were passed, "fd://3" is one of them. */
export const passedDescriptors = (host: string, count: number): number[] => {
  if (count === 0) {
    throw new NaruError(
      "failed_precondition",
      `"${host}" needs a socket from a service manager and none was passed: 'naru service install' writes such a unit, or use unix://PATH`,
    );
  }
  const name = host.slice("fd://".length);
  const all = Array.from({ length: count }, (_, index) => FIRST_FD + index);
  if (name === "" || name === "*") return all;
  const found = all.filter((fd) => String(fd) === name);
  if (found.length > 0) return found;
  throw new NaruError(
    "invalid_argument",
    `"${host}" was not passed by the service manager: there are ${all.join(", ")}`,
  );
};

/** The socket's file and its mode are the service manager's: nothing of them is touched, now or at the end. */
export const listenPassed = async (
  fd: number,
  kernel: Pick<SocketKernel, "localAddress">,
  config: DaemonConfig,
  onConnection: OnConnection,
  log: Logger,
): Promise<Listener> => {
  const what = `fd://${fd}`;
  const bound = kernel.localAddress(fd);
  const server =
    bound.family === "unix"
      ? createServer({ allowHalfOpen: true }, onConnection)
      : tcpServer(what, config, onConnection, log);
  await listening(server, what, () => server.listen({ fd }));
  return {
    address: bound.family === "unix" ? `unix://${bound.path}` : tcpAddressOf(server),
    close: () => void server.close(),
  };
};
