/** What `down` does, decided purely: dependents go before what they depend on. */
import type { Observed, ObservedContainer, Operation, Plan } from "#compose/compose.ts";
import { LABEL } from "#compose/labels.ts";
import { imageOf } from "#compose/names.ts";
import type { Model, Network, Volume } from "#spec/compose/compose.ts";
import { withoutUnused } from "#spec/compose/select.ts";

export interface DownOptions {
  /** Only these; then networks and volumes stay. */
  readonly named: readonly string[];
  readonly hasVolumesRemoved: boolean;
  readonly hasOrphansRemoved: boolean;
  /** Off: the files are not there, everything of the project goes. */
  readonly hasFiles: boolean;
  readonly images: "none" | "local" | "all";
  /** Services of the model that profiles leave out: no orphans, and left alone unless they are named. */
  readonly off: ReadonlySet<string>;
  /** Off: networks and volumes that only the files tell of stay. */
  readonly hasAllResources: boolean;
}

/** What a container's own label says it depends on, for when the files are not there. */
const dependenciesOf = (container: ObservedContainer, model: Model): string[] => {
  const service = model.services[container.service];
  if (service !== undefined) return Object.keys(service.depends_on ?? {});
  return (container.labels[LABEL.dependsOn] ?? "")
    .split(",")
    .map((part) => part.split(":")[0] ?? "")
    .filter((name) => name !== "");
};

/** For each container the ids of operations of those that depend on it. */
export const dependentsFirst = (
  containers: readonly ObservedContainer[],
  model: Model,
  verb: string,
): ReadonlyMap<string, readonly string[]> =>
  new Map(
    containers.map((container) => [
      container.id,
      containers
        .filter(
          (other) =>
            other.service !== container.service &&
            dependenciesOf(other, model).includes(container.service),
        )
        .map((other) => `${verb}:${other.id}`),
    ]),
  );

const isOwn = (labels: Readonly<Record<string, string>>, model: Model): boolean =>
  labels[LABEL.project] === model.name;

const removedImages = (model: Model, observed: Observed, options: DownOptions): string[] => {
  if (options.images === "none") return [];
  const names = Object.entries(model.services)
    .filter(([name]) => !options.off.has(name))
    .filter(([, service]) => options.images === "all" || service.image === undefined)
    .map(([name]) => imageOf(model, name))
    .filter((image) => observed.images.get(image) !== undefined);
  return [...new Set(names)];
};

/** Names of the networks and volumes that the services have which are on; not external ones. */
const namesOf = (
  model: Model,
  { off, hasAllResources }: DownOptions,
): { readonly networks: ReadonlySet<string>; readonly volumes: ReadonlySet<string> } => {
  const services = Object.entries(model.services).filter(([name]) => !off.has(name));
  const on = { ...model, services: Object.fromEntries(services) };
  const { networks, volumes } = hasAllResources ? model : withoutUnused(on);
  const own = (all: Readonly<Record<string, Network | Volume>> | undefined): Set<string> =>
    new Set(
      Object.values(all ?? {})
        .filter(({ external }) => external !== true)
        .map(({ name }) => name),
    );
  return { networks: own(networks), volumes: own(volumes) };
};

export const decideDown = (model: Model, observed: Observed, options: DownOptions): Plan => {
  const containers = observed.containers.filter(({ service }) => {
    if (options.named.length > 0) return options.named.includes(service);
    if (!options.hasFiles) return true;
    return service in model.services ? !options.off.has(service) : options.hasOrphansRemoved;
  });
  const before = dependentsFirst(containers, model, "remove");
  const operations: Operation[] = containers.map((container) => ({
    id: `remove:${container.id}`,
    kind: "remove",
    container,
    hasVolumes: options.hasVolumesRemoved,
    needs: before.get(container.id) ?? [],
    reason: "the project goes down",
  }));
  if (options.named.length > 0) return { operations };
  const all = operations.map((operation) => operation.id);
  const reason = "the project goes down";
  const isWhole = containers.length === observed.containers.length;
  const declared = namesOf(model, options);
  for (const { id: networkId, name, labels } of observed.networks.values()) {
    if (!isOwn(labels, model) || !(isWhole || declared.networks.has(name))) continue;
    operations.push({
      id: `remove-network:${networkId}`,
      kind: "remove-network",
      networkId,
      name,
      isOptional: true,
      needs: all,
      reason,
    });
  }
  if (options.hasVolumesRemoved) {
    for (const { name, labels } of observed.volumes.values()) {
      // What these files do not tell of is data of another set of files: it stays.
      if (!(options.hasFiles ? declared.volumes.has(name) : isOwn(labels, model))) continue;
      operations.push({
        id: `remove-volume:${name}`,
        kind: "remove-volume",
        name,
        isOptional: true,
        needs: all,
        reason,
      });
    }
  }
  for (const image of removedImages(model, observed, options)) {
    operations.push({
      id: `remove-image:${image}`,
      kind: "remove-image",
      image,
      needs: all,
      reason,
    });
  }
  return { operations };
};
