/** What an engine has of a project, in one round of requests. */
import type { Client } from "#client/client.ts";
import type {
  Observed,
  ObservedContainer,
  ObservedNetwork,
  ObservedVolume,
} from "#compose/compose.ts";
import { LABEL } from "#compose/labels.ts";
import { imageOf } from "#compose/names.ts";
import type { Model } from "#spec/compose/compose.ts";
import type { ContainerSummary } from "#spec/docker/container.ts";
import { hasCode } from "#lib/errors.ts";

const healthOf = (status: string): ObservedContainer["health"] =>
  /\(healthy\)/.test(status)
    ? "healthy"
    : /\(unhealthy\)/.test(status)
      ? "unhealthy"
      : /\(health: starting\)/.test(status)
        ? "starting"
        : "none";

const exitCodeOf = (status: string): number | undefined => {
  const match = /^(?:Exited|Restarting) \((\d+)\)/.exec(status);
  return match === null ? undefined : Number(match[1]);
};

export const observedContainer = (given: ContainerSummary): ObservedContainer => ({
  id: given.Id,
  name: (given.Names.find((name) => !name.slice(1).includes("/")) ?? given.Names[0] ?? "").slice(1),
  service: given.Labels[LABEL.service] ?? "",
  number: Number(given.Labels[LABEL.number] ?? 0),
  isOneOff: given.Labels[LABEL.oneOff] === "True",
  state: given.State,
  health: healthOf(given.Status),
  exitCode: exitCodeOf(given.Status),
  image: given.Image,
  imageId: given.ImageID,
  labels: given.Labels,
  networkNames: Object.keys(given.NetworkSettings.Networks),
  networkIds: Object.values(given.NetworkSettings.Networks).map((network) => network.NetworkID),
  mounts: given.Mounts,
  created: given.Created,
  status: given.Status,
  command: given.Command,
  ports: given.Ports,
});

/** Containers of a project, one-off ones too, by name and number. */
export const observeContainers = async (
  client: Client,
  project: string,
  signal?: AbortSignal,
): Promise<ObservedContainer[]> => {
  const found = await client.call("containerList", {
    query: { all: true, filters: { label: [`${LABEL.project}=${project}`] } },
    signal,
  });
  return found
    .map(observedContainer)
    .toSorted((a, b) =>
      a.service === b.service ? a.number - b.number : a.service < b.service ? -1 : 1,
    );
};

/** The image's id; undefined when the engine has none of that name. */
export const observeImage = async (client: Client, name: string): Promise<string | undefined> => {
  try {
    return (await client.call("imageInspect", { name })).Id;
  } catch (error) {
    if (hasCode(error, "not_found")) return undefined;
    throw error;
  }
};

export const observeNetworks = async (
  client: Client,
): Promise<ReadonlyMap<string, ObservedNetwork>> => {
  const found = await client.call("networkList", {});
  return new Map(
    found.map(({ Id, Name, Labels }) => [Name, { id: Id, name: Name, labels: Labels }]),
  );
};

export const observeVolumes = async (
  client: Client,
): Promise<ReadonlyMap<string, ObservedVolume>> => {
  const { Volumes } = await client.call("volumeList", {});
  return new Map(
    (Volumes ?? []).map(({ Name, Labels }) => [Name, { name: Name, labels: Labels ?? {} }]),
  );
};

export const observe = async (
  client: Client,
  model: Model,
  signal?: AbortSignal,
  /** Volumes too when the model has none: those of before. */
  hasAllVolumes = false,
): Promise<Observed> => {
  const names = [...new Set(Object.keys(model.services).map((name) => imageOf(model, name)))];
  const hasVolumes = hasAllVolumes || Object.keys(model.volumes ?? {}).length > 0;
  const [containers, networks, volumes, ids] = await Promise.all([
    observeContainers(client, model.name, signal),
    observeNetworks(client),
    hasVolumes ? observeVolumes(client) : new Map<string, ObservedVolume>(),
    Promise.all(names.map((name) => observeImage(client, name))),
  ]);
  return {
    containers,
    networks,
    volumes,
    images: new Map(names.map((name, at) => [name, ids[at]])),
  };
};
