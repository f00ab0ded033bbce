/** What `down` does, decided purely: dependents go before what they depend on. */
import type { Observed, ObservedContainer, Operation, Plan } from "#compose/compose.ts";
import { LABEL } from "#compose/labels.ts";
import { imageOf } from "#compose/names.ts";
import type { Model } from "#spec/compose/compose.ts";

export interface DownOptions {
  /** Only these; then networks and volumes stay. */
  readonly named: readonly string[];
  readonly hasVolumesRemoved: boolean;
  readonly hasOrphansRemoved: boolean;
  /** Off: the files are not there, everything of the project goes. */
  readonly hasFiles: boolean;
  readonly images: "none" | "local" | "all";
  /** Services that are off are no orphans. */
  readonly disabled: readonly string[];
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
    .filter(([, service]) => options.images === "all" || service.image === undefined)
    .map(([name]) => imageOf(model, name))
    .filter((image) => observed.images.get(image) !== undefined);
  return [...new Set(names)];
};

export const decideDown = (model: Model, observed: Observed, options: DownOptions): Plan => {
  const known = (service: string): boolean =>
    service in model.services || options.disabled.includes(service);
  const containers = observed.containers.filter((container) => {
    if (options.named.length > 0) return options.named.includes(container.service);
    return !options.hasFiles || options.hasOrphansRemoved || known(container.service);
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
  for (const network of observed.networks.values()) {
    if (!isOwn(network.labels, model)) continue;
    const { id: networkId, name } = network;
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
      const isDeclared = Object.values(model.volumes ?? {}).some(
        (volume) => volume.name === name && volume.external !== true,
      );
      if (!isOwn(labels, model) && !isDeclared) continue;
      operations.push({
        id: `remove-volume:${name}`,
        kind: "remove-volume",
        name,
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
