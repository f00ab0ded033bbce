/** What the Docker API is handed, out of the rooms. */
import { hasCode } from "#lib/errors.ts";
import type { DockerBackend } from "#api/docker/backend.ts";
import type { BuildCacheItem } from "#build/build.ts";
import type { Logger } from "#lib/log.ts";
import { isLive } from "#container/container.ts";
import type { DaemonConfig } from "#daemon/config.ts";
import { createHostImages } from "#daemon/host-images.ts";
import type { Rooms } from "#daemon/rooms.ts";
import { systemFacts, versionResponse } from "#daemon/system-facts.ts";
import type { Tools } from "#daemon/tools.ts";
import type { DoorReport } from "#door/front-door.ts";
import { exposureOf } from "#network/exposure.ts";
import { gatewayEndpoint } from "#network/gateway.ts";
import type { DoorResponse } from "#spec/docker/front-door.ts";
import type { PortReach } from "#spec/docker/port-reach.ts";
import type { NetworkRecord } from "#network/network.ts";
import type { BuildCacheRecord } from "#spec/docker/system.ts";
import type { NetworkResponse } from "#spec/docker/network.ts";

const buildCacheRecords = (items: readonly BuildCacheItem[]): BuildCacheRecord[] =>
  items.map((item) => ({
    ID: item.id,
    ...(item.parent === "" ? {} : { Parents: [item.parent] }),
    Type: item.kind,
    Description: item.description,
    InUse: item.isInUse,
    Shared: item.isShared,
    Size: item.sizeBytes,
    CreatedAt: item.createdAt,
    LastUsedAt: item.lastUsedAt,
    UsageCount: item.useCount,
  }));

const describeNetwork = (rooms: Rooms, record: NetworkRecord): NetworkResponse => {
  const endpoints = rooms.containers.list().flatMap((container) =>
    isLive(container.state)
      ? (container.sandbox?.endpoints ?? [])
          .filter(({ networkId }) => networkId === record.id)
          .map((endpoint) => ({
            containerId: container.id,
            containerName: container.name,
            endpoint,
          }))
      : [],
  );
  return rooms.network.describe(record, endpoints);
};

const portsOf = async (rooms: Rooms): Promise<PortReach[]> => {
  const reach = await rooms.network.reach();
  return rooms.containers.list().flatMap((record) => {
    const endpoint = gatewayEndpoint(record.sandbox?.endpoints ?? []);
    if (!isLive(record.state) || endpoint === undefined) return [];
    return Object.entries(record.ports).flatMap(([Port, bindings]) =>
      (bindings ?? []).map(({ HostIp, HostPort }): PortReach => {
        const isRelayed = (address: string): boolean =>
          Port.endsWith("/tcp") && rooms.network.isRelayed(record.id, address, Number(HostPort));
        const { scope, addresses, local, notes } = exposureOf(HostIp, reach, isRelayed);
        const isV6 = HostIp.includes(":") && endpoint.ipv6 !== undefined && HostIp !== "::1";
        const target = isV6 ? `[${endpoint.ipv6?.ip ?? ""}]` : endpoint.ip;
        return {
          Container: record.name,
          ContainerID: record.id,
          Port,
          HostIp,
          HostPort,
          Target: `${target}:${Port.split("/")[0] ?? ""}`,
          Network: endpoint.networkName,
          Scope: scope,
          Addresses: [...addresses],
          Local: [...local],
          Notes: [...notes],
        };
      }),
    );
  });
};

const doorResponse = ({ listening, problems, authority, routes }: DoorReport): DoorResponse => ({
  Listening: [...listening],
  Problems: [...problems],
  Authority: authority ?? "",
  Routes: routes.map(({ host, path, what, targets }) => ({
    Host: host,
    Path: path,
    What: what,
    Targets: targets.map(({ name, state, reason = "", ip, port }) => ({
      Container: name,
      State: state,
      Reason: reason,
      Address: ip === undefined ? "" : `${ip}:${port ?? 0}`,
    })),
  })),
});

/** Nothing for a container that is just being removed: its files go before its record. */
const layerPathsOf = ({ snapshots }: Rooms, id: string): Record<string, string> => {
  try {
    const { upper, work, lowers } = snapshots.paths(id);
    const below = lowers.length === 0 ? {} : { LowerDir: lowers.join(":") };
    return { ...below, UpperDir: upper, WorkDir: work };
  } catch (error) {
    if (!hasCode(error, "not_found")) throw error;
    return {};
  }
};

export const dockerBackend = (
  rooms: Rooms,
  context: {
    /** As it is now: a part of it changes on SIGHUP. */
    readonly config: () => DaemonConfig;
    readonly tools: Tools;
    readonly instance: string;
    readonly frontDoor: () => Promise<DoorReport>;
    readonly log: Logger;
  },
): DockerBackend => ({
  containers: rooms.containers,
  events: rooms.events,
  images: { ...rooms.images, ...createHostImages(rooms.images) },
  networks: {
    list: () => rooms.network.list().map((record) => describeNetwork(rooms, record)),
    get: (nameOrId) => describeNetwork(rooms, rooms.network.get(nameOrId)),
    create: async (request) => (await rooms.network.create(request)).id,
    remove: async (nameOrId) => {
      try {
        await rooms.network.remove(nameOrId);
      } catch (error) {
        if (!hasCode(error, "permission_denied")) throw error;
        // What it is in use by may be a container whose end was told a moment ago.
        await rooms.containers.released();
        await rooms.network.remove(nameOrId);
      }
    },
    prune: async (filters) => {
      await rooms.containers.released();
      return (await rooms.network.prune(filters)).map(({ name }) => name);
    },
  },
  ports: () => portsOf(rooms),
  frontDoor: async () => doorResponse(await context.frontDoor()),
  volumes: rooms.volumes,
  trash: () => rooms.trash(),
  builds: () => rooms.builds(),
  agentSocket: async (onConnection) => {
    const { openAgentSocket } = await import("#daemon/agent-sockets.ts");
    return await openAgentSocket(`${context.config().execRoot}/agents`, onConnection);
  },
  system: {
    driver: "overlay2",
    version: () => versionResponse(context.tools),
    facts: () =>
      systemFacts(
        context.instance,
        context.config(),
        context.tools,
        rooms.cgroups,
        rooms.events.watcherCount(),
        rooms.snapshots.newLayers(),
      ),
    buildCache: async () => buildCacheRecords(await (await rooms.builds()).usage()),
    containerFiles: (record) => {
      const directory = `${context.config().dataRoot}/containers/${record.id}`;
      return {
        resolvConf: `${directory}/resolv.conf`,
        hostname: `${directory}/hostname`,
        hosts: `${directory}/hosts`,
      };
    },
    layerPaths: ({ id }) => layerPathsOf(rooms, id),
  },
  fileSender: async () => (await import("#kernel/send-file.ts")).fileSender,
  logger: context.log.with({ room: "api" }),
});
