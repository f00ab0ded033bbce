/** What the Docker API is handed, out of the rooms. */
import type { DockerBackend } from "#api/docker/backend.ts";
import type { Logger } from "#lib/log.ts";
import { isLive } from "#container/container.ts";
import type { DaemonConfig } from "#daemon/config.ts";
import { createHostImages } from "#daemon/host-images.ts";
import type { Rooms } from "#daemon/rooms.ts";
import { systemFacts, versionResponse } from "#daemon/system-facts.ts";
import type { Tools } from "#daemon/tools.ts";
import type { NetworkRecord } from "#network/network.ts";
import type { NetworkResponse } from "#spec/docker/network.ts";

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

export const dockerBackend = (
  rooms: Rooms,
  context: {
    /** As it is now: a part of it changes on SIGHUP. */
    readonly config: () => DaemonConfig;
    readonly tools: Tools;
    readonly instance: string;
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
    remove: async (nameOrId) => void (await rooms.network.remove(nameOrId)),
    prune: async (filters) => (await rooms.network.prune(filters)).map(({ name }) => name),
  },
  volumes: rooms.volumes,
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
      ),
    buildCache: () => [],
    containerFiles: (record) => {
      const directory = `${context.config().dataRoot}/containers/${record.id}`;
      return {
        resolvConf: `${directory}/resolv.conf`,
        hostname: `${directory}/hostname`,
        hosts: `${directory}/hosts`,
      };
    },
  },
  logger: context.log.with({ room: "api" }),
});
