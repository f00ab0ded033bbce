/** The network's process beside the daemon: resolver and relays behind what the daemon tells it. */
import type { CompanionWork } from "#companion/process.ts";
import type { NetworkTask } from "#network/process-protocol.ts";
import { type ListenIpv6, Relayer } from "#network/relayer.ts";
import { Resolver, type ResolverOptions } from "#network/resolver.ts";

interface Parts {
  readonly resolver: Resolver;
  readonly relayer: Relayer;
}

const handle = async ({ resolver, relayer }: Parts, task: NetworkTask): Promise<unknown> => {
  switch (task.kind) {
    case "set": {
      const ports = await resolver.set(task);
      return ports && { udpPort: ports.udpPort, tcpPort: ports.tcpPort };
    }
    case "delete":
      return resolver.delete(task.sandboxId);
    case "health":
      return resolver.setHealth(task.sandboxId, task.health);
    case "keep":
      return resolver.keep(task.sandboxIds, task.hostAddress);
    case "relay":
      return await relayer.set(task.containerId, task.relays);
    case "hostNames":
      return await resolver.setHostNames(task);
    case "keepRelays":
      return relayer.keep(task.containerIds);
  }
};

export const openNetworkProcess = (
  options: ResolverOptions & { readonly listenIpv6: ListenIpv6 },
): CompanionWork => {
  const resolver = new Resolver(options);
  const relayer = new Relayer(options.listenIpv6);
  return {
    handle: (body) => handle({ resolver, relayer }, body as NetworkTask),
    isIdle: () => resolver.isIdle && relayer.isIdle,
    close: () => {
      resolver.close();
      relayer.close();
    },
  };
};
