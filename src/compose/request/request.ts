/** A service's container as the body of POST /containers/create. Pure. */
import { serviceHash } from "#compose/hash.ts";
import { LABEL } from "#compose/labels.ts";
import { imageOf } from "#compose/names.ts";
import type { ObservedContainer } from "#compose/compose.ts";
import { endpointsOf, exposedPortsOf, portBindingsOf } from "#compose/request/network.ts";
import type { Endpoints } from "#compose/request/network.ts";
import { mountsOf } from "#compose/request/mounts.ts";
import { capabilitiesOf, securityOf } from "#compose/request/security.ts";
import {
  healthcheckOf,
  resourcesOf,
  restartPolicyOf,
  withoutEmpty,
} from "#compose/request/resources.ts";
import { parseDuration } from "#spec/compose/units.ts";
import type { Service } from "#spec/compose/compose.ts";
import type { Project } from "#spec/compose/project.ts";
import type { CreateRequest } from "#spec/docker/container.ts";
import type { HostConfig } from "#spec/docker/host-config.ts";
import { VERSION } from "#lib/version.ts";
import { NaruError } from "#lib/errors.ts";

export interface RequestContext {
  readonly project: Project;
  readonly name: string;
  /** References to other services are containers by now. */
  readonly service: Service;
  /** 0 for one-off containers. */
  readonly number: number;
  readonly imageId: string | undefined;
  readonly replaces?: ObservedContainer | undefined;
  readonly links?: readonly string[];
  readonly hasAliases: boolean;
  /** Text of the seccomp profiles that the service names, by the file's name there. */
  readonly profiles?: ReadonlyMap<string, string>;
  /** Its alias in every network. */
  readonly ownName: string;
  readonly oneOff?: { readonly slug: string; readonly isRemoved: boolean };
  readonly extraLabels?: Readonly<Record<string, string>>;
}

/** Attributes an engine has no counterpart for: refused by name, not left out in silence. */
export const refuseUnsupported = (name: string, service: Service): void => {
  const refused: readonly [keyof Service, string][] = [
    ["provider", "services that other programs provide"],
    ["models", "models"],
    ["credential_spec", "credential specs are for Windows"],
    ["isolation", "isolation is for Windows"],
    ["use_api_socket", "the engine's socket in a container; mount it under volumes"],
  ];
  for (const [key, what] of refused) {
    if (service[key] === undefined || service[key] === "default") continue;
    throw new NaruError(
      "not_implemented",
      `services.${name}.${key} is not supported: ${what}; remove it`,
    );
  }
};

export const labelsOf = (context: RequestContext): Record<string, string> => {
  const { project, service, name } = context;
  const dependencies = Object.entries(service.depends_on ?? {}).map(
    ([other, { condition, restart }]) => `${other}:${condition}:${String(restart === true)}`,
  );
  return {
    ...service.labels,
    [LABEL.project]: project.model.name,
    [LABEL.service]: name,
    [LABEL.version]: VERSION,
    [LABEL.workingDir]: project.workingDirectory,
    [LABEL.configFiles]: project.files.join(","),
    [LABEL.oneOff]: context.oneOff === undefined ? "False" : "True",
    ...(project.environmentFiles.length === 0
      ? {}
      : { [LABEL.environmentFile]: project.environmentFiles.join(",") }),
    [LABEL.configHash]: serviceHash(service),
    [LABEL.dependsOn]: dependencies.join(","),
    ...(context.imageId === undefined ? {} : { [LABEL.image]: context.imageId }),
    ...(context.oneOff === undefined
      ? { [LABEL.number]: String(context.number) }
      : { [LABEL.slug]: context.oneOff.slug }),
    ...context.extraLabels,
  };
};

const tmpfsOf = (service: Service): Record<string, string> =>
  Object.fromEntries(
    (service.tmpfs ?? []).map((line) => {
      const cut = line.indexOf(":");
      return cut < 0 ? [line, ""] : [line.slice(0, cut), line.slice(cut + 1)];
    }),
  );

const environmentOf = (service: Service): string[] =>
  Object.entries(service.environment ?? {}).map(([key, value]) =>
    value === null ? key : `${key}=${value}`,
  );

const hostConfigOf = (context: RequestContext, endpoints: Endpoints): Partial<HostConfig> => {
  const { service } = context;
  const mounts = mountsOf(service, context.project.model, context.replaces);
  const restart = restartPolicyOf(service);
  const tmpfs = tmpfsOf(service);
  return {
    ...withoutEmpty({
      AutoRemove: context.oneOff?.isRemoved === true,
      Binds: mounts.Binds,
      Mounts: mounts.Mounts,
      ...capabilitiesOf(service),
      IpcMode: service.ipc ?? "",
      CgroupnsMode: service.cgroup ?? ("" as const),
      ReadonlyRootfs: service.read_only === true,
      ShmSize: Number(service.shm_size ?? 0),
      VolumesFrom: [...(service.volumes_from ?? [])],
      Dns: [...(service.dns ?? [])],
      DnsSearch: [...(service.dns_search ?? [])],
      DnsOptions: [...(service.dns_opt ?? [])],
      UsernsMode: service.userns_mode ?? "",
      UTSMode: service.uts ?? "",
      Privileged: service.privileged === true,
      PidMode: service.pid ?? "",
      Runtime: service.runtime ?? "",
      GroupAdd: [...(service.group_add ?? [])],
      OomScoreAdj: service.oom_score_adj ?? 0,
      Links: [...(context.links ?? [])],
    }),
    ...resourcesOf(service),
    ...securityOf(service, context.profiles ?? new Map()),
    ExtraHosts: (service.extra_hosts ?? []).map((line) => line.replace("=", ":")),
    NetworkMode: endpoints.mode,
    PortBindings: portBindingsOf(service.ports ?? []),
    ...(restart === undefined || context.oneOff !== undefined ? {} : { RestartPolicy: restart }),
    ...(service.init === undefined ? {} : { Init: service.init }),
    ...(service.annotations === undefined ? {} : { Annotations: service.annotations }),
    ...(service.sysctls === undefined ? {} : { Sysctls: service.sysctls }),
    ...(service.storage_opt === undefined ? {} : { StorageOpt: service.storage_opt }),
    ...(Object.keys(tmpfs).length === 0 ? {} : { Tmpfs: tmpfs }),
    ...(service.logging === undefined
      ? {}
      : {
          LogConfig: {
            Type: service.logging.driver ?? "",
            Config: { ...service.logging.options },
          },
        }),
  };
};

export interface ContainerRequest {
  readonly body: CreateRequest;
  /** Networks an older engine cannot take at once: connected one by one after the creation. */
  readonly endpoints: Endpoints;
}

/** Throws `not_implemented` for attributes that no engine like this has. */
export const containerRequest = (context: RequestContext): ContainerRequest => {
  const { service, name, project } = context;
  refuseUnsupported(name, service);
  const endpoints = endpointsOf({
    model: project.model,
    name,
    service,
    ownName: context.ownName,
    hasAliases: context.hasAliases,
    links: context.links ?? [],
  });
  const healthcheck = healthcheckOf(service);
  const grace = service.stop_grace_period;
  const exposed = exposedPortsOf(service);
  const body: CreateRequest = {
    ...withoutEmpty({
      Hostname: service.hostname ?? "",
      Domainname: service.domainname ?? "",
      User: service.user ?? "",
      Tty: service.tty === true,
      OpenStdin: service.stdin_open === true,
      WorkingDir: service.working_dir ?? "",
      StopSignal: service.stop_signal ?? "",
      MacAddress: endpoints.settings.length === 0 ? (service.mac_address ?? "") : "",
    }),
    ...(context.oneOff !== undefined && service.stdin_open === true
      ? { AttachStdin: true, StdinOnce: true }
      : {}),
    AttachStdout: true,
    AttachStderr: true,
    Env: environmentOf(service),
    Image: imageOf(project.model, name),
    Labels: labelsOf(context),
    ...(service.command === undefined ? {} : { Cmd: [...service.command] }),
    ...(service.entrypoint === undefined ? {} : { Entrypoint: [...service.entrypoint] }),
    ...(Object.keys(exposed).length === 0 ? {} : { ExposedPorts: exposed }),
    ...(healthcheck === undefined ? {} : { Healthcheck: healthcheck }),
    ...(grace === undefined ? {} : { StopTimeout: Math.ceil((parseDuration(grace) ?? 0) / 1e9) }),
    HostConfig: hostConfigOf(context, endpoints),
    ...(endpoints.settings.length === 0
      ? {}
      : { NetworkingConfig: { EndpointsConfig: Object.fromEntries(endpoints.settings) } }),
  };
  return { body, endpoints };
};
