/** Profiles: which services are on. */
import type { Model, Service } from "#spec/compose/compose.ts";

export interface Selected {
  readonly model: Model;
  readonly disabled: Readonly<Record<string, Service>>;
}

export interface Selection {
  readonly profiles: readonly string[];
  /** Naming a service turns its profiles on. */
  readonly named?: readonly string[];
}

const isOn = (service: Service, profiles: ReadonlySet<string>): boolean =>
  service.profiles === undefined ||
  service.profiles.length === 0 ||
  profiles.has("*") ||
  service.profiles.some((profile) => profiles.has(profile));

export const selectServices = (whole: Model, selection: Selection): Selected => {
  const profiles = new Set(selection.profiles);
  for (const name of selection.named ?? []) {
    const service = whole.services[name];
    if (service === undefined || isOn(service, profiles)) continue;
    for (const profile of service.profiles ?? []) profiles.add(profile);
  }
  const on: Record<string, Service> = {};
  const off: Record<string, Service> = {};
  for (const [name, service] of Object.entries(whole.services)) {
    (isOn(service, profiles) ? on : off)[name] = service;
  }
  return { model: { ...whole, services: on }, disabled: off };
};

/** Only the networks, volumes, secrets, configs and models that a service of the model uses. */
export const withoutUnused = (model: Model): Model => {
  const used = {
    networks: new Set<string>(),
    volumes: new Set<string>(),
    secrets: new Set<string>(),
    configs: new Set<string>(),
    models: new Set<string>(),
  };
  for (const service of Object.values(model.services)) {
    for (const name of Object.keys(service.networks ?? {})) used.networks.add(name);
    for (const mount of service.volumes ?? []) {
      if (mount.type === "volume" && mount.source !== undefined) used.volumes.add(mount.source);
    }
    for (const { source } of service.secrets ?? []) used.secrets.add(source);
    for (const { source } of service.build?.secrets ?? []) used.secrets.add(source);
    for (const { source } of service.configs ?? []) used.configs.add(source);
    for (const name of Object.keys(service.models ?? {})) used.models.add(name);
  }
  const pick = <T>(from: Readonly<Record<string, T>> | undefined, names: Set<string>) =>
    Object.fromEntries(Object.entries(from ?? {}).filter(([name]) => names.has(name)));
  const picked = {
    networks: pick(model.networks, used.networks),
    volumes: pick(model.volumes, used.volumes),
    secrets: pick(model.secrets, used.secrets),
    configs: pick(model.configs, used.configs),
    models: pick(model.models, used.models),
  };
  const { networks: _n, volumes: _v, secrets: _s, configs: _c, models: _m, ...rest } = model;
  const filled = Object.entries(picked).filter(([, value]) => Object.keys(value).length > 0);
  return { ...rest, ...Object.fromEntries(filled) };
};

/** The named services and what they depend on; all of them when none is named. */
export const withServices = (
  model: Model,
  named: readonly string[],
  hasDependencies = true,
): Model => {
  if (named.length === 0) return model;
  const wanted = new Set<string>();
  const add = (name: string): void => {
    const service = model.services[name];
    if (service === undefined || wanted.has(name)) return;
    wanted.add(name);
    if (hasDependencies) for (const other of Object.keys(service.depends_on ?? {})) add(other);
  };
  for (const name of named) add(name);
  const services = Object.entries(model.services).filter(([name]) => wanted.has(name));
  return { ...model, services: Object.fromEntries(services) };
};
