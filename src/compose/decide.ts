/** From model and observation to a plan for `up`. Pure. */
import { decideImages } from "#compose/decide-images.ts";
import { decideNetworks, decideVolumes } from "#compose/decide-resources.ts";
import { decideService, isFinished, isReady } from "#compose/decide-service.ts";
import type { Observed, ObservedContainer, Operation, Plan } from "#compose/compose.ts";
import { scaleOf } from "#compose/names.ts";
import { inOrder } from "#compose/references.ts";
import type { Condition, Model, Service } from "#spec/compose/compose.ts";

export interface UpOptions {
  /** Services to bring up; what they depend on is among them unless it is left alone. */
  readonly targets: readonly string[];
  /** Named by the user: recreation is forced for these alone. */
  readonly named: readonly string[];
  /** Services that are off: their containers are no orphans. */
  readonly disabled: readonly string[];
  readonly recreate: "changed" | "always" | "never";
  readonly areDependenciesRecreated: boolean;
  readonly hasOrphansRemoved: boolean;
  readonly isStarted: boolean;
  readonly isAwaited: boolean;
  readonly isRolling: boolean;
  readonly areVolumesRecreated: boolean;
  /** Containers made anew do not take over the anonymous volumes of those before them. */
  readonly hasFreshAnonymousVolumes: boolean;
  readonly build: "missing" | "always" | "never";
  readonly pull: string | undefined;
  /** How old images are, by name, in seconds: for policies like "daily". */
  readonly imageAges?: ReadonlyMap<string, number>;
}

export const DEFAULT_UP: UpOptions = {
  targets: [],
  named: [],
  disabled: [],
  recreate: "changed",
  areDependenciesRecreated: false,
  hasOrphansRemoved: false,
  isStarted: true,
  isAwaited: false,
  isRolling: false,
  areVolumesRecreated: false,
  hasFreshAnonymousVolumes: false,
  build: "missing",
  pull: undefined,
};

/** Containers of services the files do not know any more. */
export const orphansOf = (
  model: Model,
  observed: Observed,
  disabled: readonly string[],
): ObservedContainer[] =>
  observed.containers.filter(
    (container) =>
      !container.isOneOff &&
      !(container.service in model.services) &&
      !disabled.includes(container.service),
  );

interface Gate {
  readonly service: string;
  readonly condition: Condition;
}

const gateId = ({ service, condition }: Gate): string => `await:${service}:${condition}`;

class Decision {
  readonly operations: Operation[] = [];
  /** Services with a container that is created, started or restarted. */
  readonly changed = new Set<string>();
  /** Services with a container that is replaced. */
  readonly replaced = new Set<string>();
  readonly #gates = new Map<string, { gate: Gate; isRequired: boolean }>();
  readonly #model: Model;
  readonly #observed: Observed;
  readonly #options: UpOptions;

  constructor(model: Model, observed: Observed, options: UpOptions) {
    this.#model = model;
    this.#observed = observed;
    this.#options = options;
  }

  ofService(name: string): ObservedContainer[] {
    return this.#observed.containers.filter(
      (container) => container.service === name && !container.isOneOff,
    );
  }

  /** Ids of the operations that make the service's dependencies ready; remembers to add them. */
  gatesOf(service: Service): string[] {
    const needs: string[] = [];
    for (const [other, { condition, required }] of Object.entries(service.depends_on ?? {})) {
      const gate = { service: other, condition };
      const dependency = this.#model.services[other];
      if (!this.#options.targets.includes(other) || dependency === undefined) continue;
      if (scaleOf(dependency) === 0) continue;
      const isThere = isReady(this.ofService(other), condition) && !this.changed.has(other);
      if (isThere) continue;
      const id = gateId(gate);
      const known = this.#gates.get(id);
      this.#gates.set(id, { gate, isRequired: required || known?.isRequired === true });
      needs.push(id);
    }
    return needs;
  }

  addGates(): void {
    if (this.#options.isAwaited) {
      for (const name of this.#options.targets) {
        const service = this.#model.services[name];
        const condition = awaited(name, this.#model, service);
        if (isReady(this.ofService(name), condition) && !this.changed.has(name)) continue;
        const gate = { service: name, condition };
        this.#gates.set(gateId(gate), { gate, isRequired: true });
      }
    }
    for (const [id, { gate, isRequired }] of this.#gates) {
      const needs = this.operations
        .filter((operation) => brings(operation, gate.service))
        .map((operation) => operation.id);
      this.operations.push({
        id,
        kind: "await",
        ...gate,
        isRequired,
        needs,
        reason: this.#options.isAwaited ? "the command waits" : "others wait for it",
      });
    }
  }
}

/** True for an operation after which a container of the service runs. */
const brings = (operation: Operation, service: string): boolean =>
  (operation.kind === "start" || operation.kind === "restart" || operation.kind === "create") &&
  operation.service === service;

const awaited = (name: string, model: Model, service: Service | undefined): Condition => {
  const isOneShot = Object.values(model.services).some(
    (other) => other.depends_on?.[name]?.condition === "service_completed_successfully",
  );
  if (isOneShot) return "service_completed_successfully";
  return service?.healthcheck === undefined || service.healthcheck.disable === true
    ? "service_started"
    : "service_healthy";
};

const decideOrphans = (
  model: Model,
  observed: Observed,
  options: UpOptions,
): readonly Operation[] =>
  options.hasOrphansRemoved
    ? orphansOf(model, observed, options.disabled).map((container) => ({
        id: `remove:${container.id}`,
        kind: "remove" as const,
        container,
        hasVolumes: false,
        needs: [],
        reason: `there is no service "${container.service}" any more`,
      }))
    : [];

/** Running dependents that asked to be restarted with what they depend on. */
const decideRestarts = (decision: Decision, model: Model, options: UpOptions): void => {
  for (const name of options.targets) {
    const service = model.services[name];
    if (service === undefined || decision.changed.has(name)) continue;
    const causes = Object.entries(service.depends_on ?? {}).filter(
      ([other, { restart }]) => restart === true && decision.replaced.has(other),
    );
    const [first] = causes;
    if (first === undefined) continue;
    const needs = decision.gatesOf(service);
    for (const container of decision.ofService(name)) {
      decision.changed.add(name);
      decision.operations.push({
        id: `restart:${container.id}`,
        kind: "restart",
        service: name,
        container,
        needs,
        reason: `"${first[0]}" is recreated, and it restarts with it`,
      });
    }
  }
};

/** Only the images: what containers need depends on what these turn out to be. */
export const decideImagesUp = (model: Model, observed: Observed, options: UpOptions): Plan => ({
  operations: decideImages(model, observed, options),
});

/** Images are thought of as there: `decideImagesUp` and its execution come first. */
export const decideUp = (model: Model, observed: Observed, options: UpOptions): Plan => {
  const decision = new Decision(model, observed, options);
  const networks = decideNetworks(model, observed, options.targets);
  const volumes = decideVolumes(model, observed, options);
  decision.operations.push(...networks.operations, ...volumes.operations);
  const resources = {
    newNetworks: networks.made,
    newVolumes: volumes.made,
    ids: decision.operations.map((operation) => operation.id),
  };
  for (const name of inOrder(model)) {
    if (!options.targets.includes(name)) continue;
    const service = model.services[name];
    if (service === undefined) continue;
    const containers = decision.ofService(name);
    if (isFinished(name, service, containers, model, observed)) continue;
    const decided = decideService({
      name,
      service,
      model,
      observed,
      containers,
      options,
      resources,
      replaced: decision.replaced,
      gates: () => decision.gatesOf(service),
    });
    decision.operations.push(...decided.operations);
    if (decided.isChanged) decision.changed.add(name);
    if (decided.isReplaced) decision.replaced.add(name);
  }
  if (options.isStarted) decideRestarts(decision, model, options);
  decision.operations.push(...decideOrphans(model, observed, options));
  if (options.isStarted) decision.addGates();
  return { operations: decision.operations };
};
