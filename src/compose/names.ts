/** How things of a project are called on the engine. */
import type { Model, Service } from "#spec/compose/compose.ts";

export const containerName = (
  project: string,
  service: string,
  given: Service | undefined,
  number: number,
): string => given?.container_name ?? `${project}-${service}-${String(number)}`;

/** The image a service runs: its own, else the name its build is given. */
export const imageOf = (model: Model, name: string): string =>
  model.services[name]?.image ?? `${model.name}-${name}`;

export const scaleOf = (service: Service): number => service.scale ?? service.deploy?.replicas ?? 1;

/** What a reference to another service in network_mode, ipc or pid names. */
export const serviceReference = (mode: string | undefined): string | undefined =>
  mode?.startsWith("service:") === true ? mode.slice("service:".length) : undefined;

/** Names of networks, the one with the default route first, then by name. */
export const networksByPriority = (service: Service): string[] =>
  Object.entries(service.networks ?? {})
    .toSorted(
      ([a, left], [b, right]) => (right?.priority ?? 0) - (left?.priority ?? 0) || (a < b ? -1 : 1),
    )
    .map(([name]) => name);
