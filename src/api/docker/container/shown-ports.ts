import type { ContainerRecord } from "#container/container.ts";
import { exposedKeys } from "#spec/docker/ports.ts";
import type { PortMap } from "#spec/docker/host-config.ts";

/** Exposed ports that are not published are shown too, while there is a network that they could be reached by. */
export const shownPorts = ({ sandbox, config, endpoints, ports }: ContainerRecord): PortMap => {
  if (sandbox === undefined || "none" in endpoints) return ports;
  const exposed = exposedKeys(config.ExposedPorts ?? {});
  return { ...Object.fromEntries(exposed.map((key) => [key, null])), ...ports };
};
