/** `service:NAME` in network_mode, ipc, pid and volumes_from becomes a container. */
import type { Model, Service } from "#spec/compose/compose.ts";
import { serviceReference } from "#compose/names.ts";

/** Services that must have a container before this one can be created. */
export const referencedServices = (service: Service): string[] => {
  const found = [service.network_mode, service.ipc, service.pid]
    .map(serviceReference)
    .filter((name) => name !== undefined);
  for (const from of service.volumes_from ?? []) {
    const name = from.split(":")[0] ?? "";
    if (name !== "container") found.push(name);
  }
  return [...new Set(found)];
};

/** `containerOf` gives the id of a service's first container, undefined when there is none yet. */
export const resolveReferences = (
  service: Service,
  containerOf: (service: string) => string | undefined,
): Service => {
  const mode = (given: string | undefined): string | undefined => {
    const name = serviceReference(given);
    const id = name === undefined ? undefined : containerOf(name);
    return id === undefined ? given : `container:${id}`;
  };
  const from = (line: string): string => {
    const [name = "", ...rest] = line.split(":");
    if (name === "container") return rest.join(":");
    // The access mode is dropped here, as the reference tool does: the hash is made of it.
    return containerOf(name) ?? line;
  };
  const changed: { -readonly [K in keyof Service]: Service[K] } = { ...service };
  if (service.network_mode !== undefined) changed.network_mode = mode(service.network_mode) ?? "";
  if (service.ipc !== undefined) changed.ipc = mode(service.ipc) ?? "";
  if (service.pid !== undefined) changed.pid = mode(service.pid) ?? "";
  if (service.volumes_from !== undefined) changed.volumes_from = service.volumes_from.map(from);
  return changed;
};

/** Names so that each comes after what it depends on. The model has no cycles. */
export const inOrder = (model: Model): string[] => {
  const ordered = new Set<string>();
  const visit = (name: string): void => {
    if (ordered.has(name)) return;
    for (const other of Object.keys(model.services[name]?.depends_on ?? {}).toSorted()) {
      if (other in model.services) visit(other);
    }
    ordered.add(name);
  };
  for (const name of Object.keys(model.services).toSorted()) visit(name);
  return [...ordered];
};
