/** One service: which of its containers stay, go, are replaced, are started. Pure. */
import type { Observed, ObservedContainer, Operation } from "#compose/compose.ts";
import type { UpOptions } from "#compose/decide.ts";
import { serviceHash } from "#compose/hash.ts";
import { LABEL } from "#compose/labels.ts";
import { containerName, imageOf, scaleOf } from "#compose/names.ts";
import { referencedServices, resolveReferences } from "#compose/references.ts";
import type { Condition, Model, Service } from "#spec/compose/compose.ts";

export interface ServiceInput {
  readonly name: string;
  readonly service: Service;
  readonly model: Model;
  readonly observed: Observed;
  readonly containers: readonly ObservedContainer[];
  readonly options: UpOptions;
  readonly resources: {
    readonly newNetworks: ReadonlySet<string>;
    readonly newVolumes: ReadonlySet<string>;
    readonly ids: readonly string[];
  };
  /** Services decided before this one whose containers are replaced. */
  readonly replaced: ReadonlySet<string>;
  readonly gates: () => readonly string[];
}

export interface DecidedService {
  readonly operations: readonly Operation[];
  readonly isChanged: boolean;
  readonly isReplaced: boolean;
}

/** Whether the containers as they are fulfil what a dependent waits for. */
export const isReady = (
  containers: readonly ObservedContainer[],
  condition: Condition,
): boolean => {
  if (containers.length === 0) return false;
  switch (condition) {
    case "service_started":
      return containers.every((container) => container.state === "running");
    case "service_healthy":
      return containers.every((container) => container.health === "healthy");
    case "service_completed_successfully":
      return containers.every(
        (container) => container.state === "exited" && container.exitCode === 0,
      );
  }
};

const firstOf = (observed: Observed, service: string): string | undefined =>
  observed.containers.find((item) => item.service === service && !item.isOneOff)?.id;

const expectedHash = (service: Service, observed: Observed): string =>
  serviceHash(resolveReferences(service, (other) => firstOf(observed, other)));

/** Why this container cannot stay; undefined when it can. */
const staleReason = (container: ObservedContainer, input: ServiceInput): string | undefined => {
  const { service, observed, options, model, name, resources } = input;
  if (options.recreate === "never") return undefined;
  const isForced =
    options.recreate === "always" &&
    (options.named.length === 0 ||
      options.named.includes(name) ||
      options.areDependenciesRecreated);
  if (isForced) return "it shall be recreated";
  const isDependency = options.named.length > 0 && !options.named.includes(name);
  if (isDependency && options.areDependenciesRecreated) return "it shall be recreated";
  const broken = referencedServices(service).find((other) => input.replaced.has(other));
  if (broken !== undefined) return `it shares with "${broken}", which is recreated`;
  if (container.labels[LABEL.configHash] !== expectedHash(service, observed)) {
    return "its configuration has changed";
  }
  const imageId = observed.images.get(imageOf(model, name));
  const used = container.labels[LABEL.image] ?? container.imageId;
  if (imageId !== undefined && used !== imageId) return "its image is another one now";
  const network = Object.keys(service.networks ?? {}).find((key) => {
    const id = observed.networks.get(model.networks?.[key]?.name ?? "")?.id;
    if (resources.newNetworks.has(key)) return true;
    return container.state === "running" && id !== undefined && !container.networkIds.includes(id);
  });
  if (network !== undefined) return `it is not on the network "${network}"`;
  const volume = (service.volumes ?? []).find(
    ({ type, source }) =>
      type === "volume" &&
      source !== undefined &&
      !container.mounts.some((mount) => mount.Name === model.volumes?.[source]?.name),
  );
  return volume === undefined ? undefined : `it does not have the volume "${volume.source ?? ""}"`;
};

/** A job that others wait for and that has done its work with this configuration. */
export const isFinished = (
  name: string,
  service: Service,
  containers: readonly ObservedContainer[],
  model: Model,
  observed: Observed,
): boolean =>
  isReady(containers, "service_completed_successfully") &&
  containers.length === scaleOf(service) &&
  Object.values(model.services).some(
    (other) => other.depends_on?.[name]?.condition === "service_completed_successfully",
  ) &&
  containers.every(
    (container) =>
      container.labels[LABEL.configHash] === expectedHash(service, observed) &&
      (container.labels[LABEL.image] ?? container.imageId) ===
        observed.images.get(imageOf(model, name)),
  );

interface Split {
  readonly kept: readonly { container: ObservedContainer; stale: string | undefined }[];
  readonly surplus: readonly ObservedContainer[];
}

/** Up-to-date ones with the right name and a low number stay first. */
const splitBy = (count: number, input: ServiceInput): Split => {
  const judged = input.containers.map((container) => ({
    container,
    stale: staleReason(container, input),
    isNamed:
      container.name ===
      containerName(input.model.name, input.name, input.service, container.number),
  }));
  const sorted = judged.toSorted(
    (a, b) =>
      Number(!a.isNamed) - Number(!b.isNamed) ||
      Number(a.stale !== undefined) - Number(b.stale !== undefined) ||
      a.container.number - b.container.number,
  );
  // Of two with the same number one is a leftover of a recreation that was cut short.
  const seen = new Set<number>();
  const unique = sorted.filter(({ container }) => {
    if (seen.has(container.number)) return false;
    seen.add(container.number);
    return true;
  });
  const kept = unique.slice(0, count);
  const ids = new Set(kept.map(({ container }) => container.id));
  return {
    kept,
    surplus: sorted.map(({ container }) => container).filter(({ id }) => !ids.has(id)),
  };
};

class ServiceDecision {
  readonly operations: Operation[] = [];
  readonly #input: ServiceInput;
  #gates: readonly string[] | undefined;
  #lastRolling: string | undefined;

  constructor(input: ServiceInput) {
    this.#input = input;
  }

  gates(): readonly string[] {
    return (this.#gates ??= this.#input.options.isStarted ? this.#input.gates() : []);
  }

  #base(): string[] {
    const references = referencedServices(this.#input.service).flatMap((other) =>
      this.#input.replaced.has(other) || firstOf(this.#input.observed, other) === undefined
        ? [`create:${other}:1`]
        : [],
    );
    return [...this.#input.resources.ids, ...references];
  }

  /** `before`: operations that free the name it is given at first. */
  create(
    number: number,
    reason: string,
    replaces: ObservedContainer | undefined,
    before: readonly string[],
  ): void {
    const { name, options, service } = this.#input;
    const wasRunning = replaces?.state === "running";
    const order = service.deploy?.update_config?.order;
    const isRolling =
      wasRunning && options.isStarted && (options.isRolling || order === "start-first");
    const id = `create:${name}:${String(number)}`;
    const needs = [...this.#base(), ...before, ...(isRolling ? this.gates() : [])];
    if (isRolling && this.#lastRolling !== undefined) needs.push(this.#lastRolling);
    if (isRolling) this.#lastRolling = id;
    this.operations.push({
      id,
      kind: "create",
      service: name,
      number,
      replaces:
        replaces !== undefined && options.hasFreshAnonymousVolumes
          ? { ...replaces, mounts: [] }
          : replaces,
      isRolling,
      needs,
      reason,
    });
    if (options.isStarted && !isRolling) this.start(number, undefined, [id], "it is new");
  }

  start(
    number: number,
    container: ObservedContainer | undefined,
    needs: readonly string[],
    reason: string,
  ): void {
    const { name, service } = this.#input;
    const initialize = (service.pre_start ?? []).length > 0 ? this.initialize() : [];
    this.operations.push({
      id: `start:${name}:${String(number)}`,
      kind: "start",
      service: name,
      number,
      container,
      needs: [...needs, ...this.gates(), ...initialize],
      reason,
    });
  }

  initialize(): string[] {
    const { name } = this.#input;
    const id = `initialize:${name}`;
    if (!this.operations.some((operation) => operation.id === id)) {
      this.operations.push({
        id,
        kind: "initialize",
        service: name,
        needs: [...this.#base(), ...this.gates()],
        reason: "it has something to do before it starts",
      });
    }
    return [id];
  }
}

const stateReason = (container: ObservedContainer): string =>
  container.state === "created" ? "it has not been started yet" : `it is ${container.state}`;

export const decideService = (input: ServiceInput): DecidedService => {
  const { service, options, name, model } = input;
  const count = scaleOf(service);
  const { kept, surplus } = splitBy(count, input);
  const decision = new ServiceDecision(input);
  let isReplaced = false;
  for (const container of surplus) {
    decision.operations.push({
      id: `remove:${container.id}`,
      kind: "remove",
      container,
      hasVolumes: false,
      needs: [],
      reason: `there shall be ${String(count)} of "${name}"`,
    });
  }
  // A leftover of a recreation that was cut short has the very name the next one wants.
  const freeing = surplus.map(({ id }) => `remove:${id}`);
  for (const { container, stale } of kept) {
    const wanted = containerName(model.name, name, service, container.number);
    if (stale !== undefined) {
      isReplaced = true;
      decision.create(container.number, stale, container, freeing);
      continue;
    }
    const renames = container.name === wanted ? [] : [`rename:${container.id}`];
    if (renames.length > 0) {
      decision.operations.push({
        id: `rename:${container.id}`,
        kind: "rename",
        container,
        name: wanted,
        needs: freeing,
        reason: "its recreation was cut short",
      });
    }
    const isUp = container.state === "running" || container.state === "paused";
    if (isUp || !options.isStarted) continue;
    decision.start(container.number, container, renames, stateReason(container));
  }
  const taken = new Set(kept.map(({ container }) => container.number));
  for (let number = 1, missing = count - kept.length; missing > 0; number += 1) {
    if (taken.has(number)) continue;
    decision.create(number, "it is not there", undefined, freeing);
    missing -= 1;
  }
  const isChanged = decision.operations.some(
    ({ kind }) => kind === "create" || kind === "start" || kind === "remove",
  );
  return { operations: decision.operations, isChanged, isReplaced };
};
