/** Defaults and what follows from others: networks, names, implied dependencies. */
import type { Dependency, Model, Network, Service } from "#spec/compose/compose.ts";
import { cleanPath } from "#lib/path.ts";

export interface NormalizeContext {
  readonly name: string;
  readonly workingDirectory: string;
  readonly environment: Readonly<Record<string, string>>;
}

type Draft<T> = { -readonly [K in keyof T]: T[K] };

const NAMESPACES = ["network_mode", "ipc", "pid", "uts", "cgroup"] as const;

const implied = (service: Service): Record<string, Dependency> => {
  const found: Record<string, Dependency> = {};
  const started: Dependency = { condition: "service_started", restart: true, required: true };
  for (const link of service.links ?? []) found[link.split(":")[0] ?? link] = started;
  for (const namespace of NAMESPACES) {
    const mode = service[namespace];
    if (mode?.startsWith("service:") === true) found[mode.slice("service:".length)] = started;
  }
  for (const from of service.volumes_from ?? []) {
    if (from.startsWith("container:")) continue;
    found[from.split(":")[0] ?? from] = { condition: "service_started", required: true };
  }
  return found;
};

/** Lists of `KEY=value` are left alone: they are there where variables stay as they are. */
const isMapping = (value: unknown): boolean => typeof value === "object" && !Array.isArray(value);

const normalizeBuild = (draft: Draft<Service>, context: NormalizeContext): void => {
  const { build } = draft;
  if (build === undefined) return;
  const hasFile = build.dockerfile !== undefined || build.dockerfile_inline !== undefined;
  const args = Object.entries(build.args ?? {}).flatMap(([key, given]) => {
    const value = given ?? context.environment[key];
    return value === undefined ? [] : [[key, value] as const];
  });
  draft.build = {
    ...build,
    ...(hasFile ? {} : { dockerfile: "Dockerfile" }),
    ...(isMapping(build.args) ? { args: Object.fromEntries(args) } : {}),
  };
};

/** What is filled in whether or not the rest is. */
const withDefaults = (service: Service, context: NormalizeContext): Draft<Service> => {
  const draft: Draft<Service> = { ...service };
  if (draft.environment !== undefined && isMapping(draft.environment)) {
    draft.environment = Object.fromEntries(
      Object.entries(draft.environment).map(([key, value]) => [
        key,
        value ?? context.environment[key] ?? null,
      ]),
    );
  }
  if (draft.secrets !== undefined) {
    draft.secrets = draft.secrets.map((secret) => ({
      ...secret,
      target: secret.target ?? `/run/secrets/${secret.source}`,
    }));
  }
  const { build } = draft;
  if (build !== undefined) {
    draft.build = { ...build, context: build.context ?? context.workingDirectory };
  }
  return draft;
};

const normalizeService = (service: Service, context: NormalizeContext): Service => {
  const draft = withDefaults(service, context);
  if (draft.pull_policy === "if_not_present") draft.pull_policy = "missing";
  normalizeBuild(draft, context);
  const hasNetworks = Object.keys(draft.networks ?? {}).length > 0;
  if (draft.provider === undefined && draft.network_mode === undefined && !hasNetworks) {
    draft.networks = { default: null };
  }
  const depends = { ...implied(service), ...draft.depends_on };
  if (Object.keys(depends).length > 0) {
    draft.depends_on = Object.fromEntries(
      Object.entries(depends).map(([name, given]) => [
        name,
        { ...given, required: given.required ?? true },
      ]),
    );
  }
  if (draft.volumes !== undefined) {
    // With variables left as they are, one may still be text.
    draft.volumes = draft.volumes.map((mount) =>
      typeof mount === "object" ? { ...mount, target: cleanPath(mount.target) } : mount,
    );
  }
  return draft;
};

interface Named {
  readonly name?: string;
  readonly external?: boolean;
}

const withNames = <T extends Named>(
  resources: Readonly<Record<string, T | null>> | undefined,
  project: string,
): Record<string, T & { readonly name: string }> =>
  Object.fromEntries(
    Object.entries(resources ?? {}).map(([key, given]) => {
      const own = given ?? ({} as T);
      const name = own.name ?? (own.external === true ? key : `${project}_${key}`);
      return [key, { ...own, name }];
    }),
  );

/** The plain merged tree with everything filled in that does not need other files. */
export const normalize = (plain: Record<string, unknown>, context: NormalizeContext): Model => {
  const draft = plain as unknown as Partial<Model>;
  const services = Object.fromEntries(
    Object.entries(draft.services ?? {}).map(([name, service]) => [
      name,
      normalizeService(service, context),
    ]),
  );
  const networks: Record<string, Network | null> = { ...draft.networks };
  const usesDefault = Object.values(services).some(
    (service) => service.networks !== undefined && "default" in service.networks,
  );
  if (usesDefault) networks["default"] ??= null;
  const { name } = context;
  return {
    ...plain,
    name,
    services,
    networks: withNames(networks, name),
    volumes: withNames(draft.volumes, name),
    secrets: withNames(draft.secrets, name),
    configs: withNames(draft.configs, name),
  };
};

const SHARED = ["networks", "volumes", "secrets", "configs"] as const;

/** The same without names, networks and dependencies that nobody has written: `--no-normalize`. */
export const leaveBare = (plain: Record<string, unknown>, context: NormalizeContext): Model => {
  const draft = plain as unknown as Partial<Model>;
  const services = Object.entries(draft.services ?? {}).map(([name, service]) => [
    name,
    withDefaults(service, context),
  ]);
  const shared = SHARED.map((kind) => [
    kind,
    Object.fromEntries(Object.entries(draft[kind] ?? {}).map(([key, own]) => [key, own ?? {}])),
  ]);
  return {
    ...plain,
    name: context.name,
    ...Object.fromEntries(shared),
    services: Object.fromEntries(services),
  };
};
