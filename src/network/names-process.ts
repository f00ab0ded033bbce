/** The process that resolves names: the resolver behind what the daemon tells it. */
import type { CompanionWork } from "#companion/process.ts";
import type { NamesTask, ResolverPorts } from "#network/names-protocol.ts";
import { Resolver, type ResolverOptions } from "#network/resolver.ts";

const handle = async (resolver: Resolver, task: NamesTask): Promise<ResolverPorts | undefined> => {
  switch (task.kind) {
    case "set": {
      const ports = await resolver.set(task);
      return ports && { udpPort: ports.udpPort, tcpPort: ports.tcpPort };
    }
    case "delete":
      resolver.delete(task.sandboxId);
      return undefined;
    case "health":
      resolver.setHealth(task.sandboxId, task.health);
      return undefined;
    case "keep":
      resolver.keep(task.sandboxIds, task.hostAddress);
      return undefined;
  }
};

export const openNames = (options: ResolverOptions): CompanionWork => {
  const resolver = new Resolver(options);
  return {
    handle: (body) => handle(resolver, body as NamesTask),
    isIdle: () => resolver.isIdle,
    close: () => resolver.close(),
  };
};
