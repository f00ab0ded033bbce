/** The daemon's sockets, by the hosts of its configuration. */
import { NaruError } from "#lib/errors.ts";
import type { Logger } from "#lib/log.ts";
import type { SocketKernel } from "#kernel/kernel.ts";
import type { DaemonConfig } from "#daemon/config.ts";
import { listenUnix } from "#daemon/listen-unix.ts";
import type { Listener, OnConnection } from "#daemon/listener.ts";

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
  // Others are seldom there, and need node:net, which takes ten milliseconds to load.
  if (host.startsWith("tcp://")) {
    const { listenTcp } = await import("#daemon/listen-tcp.ts");
    return [await listenTcp(host, config, onConnection, log)];
  }
  if (host.startsWith("fd://")) {
    const { listenPassed, passedDescriptors } = await import("#daemon/listen-passed.ts");
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
