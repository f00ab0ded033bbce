/** Networks of a service's container, and networks themselves, as the engine wants them. */
import { networksByPriority } from "#compose/names.ts";
import { LABEL } from "#compose/labels.ts";
import { networkHash } from "#compose/hash.ts";
import type { Model, Network, Service, ServicePort } from "#spec/compose/compose.ts";
import type { EndpointSettings } from "#spec/docker/network.ts";
import type { PortMap } from "#spec/docker/host-config.ts";

export interface EndpointContext {
  readonly model: Model;
  readonly name: string;
  readonly service: Service;
  readonly ownName: string;
  /** Off for one-off containers: they do not answer for the service. */
  readonly hasAliases: boolean;
  readonly links: readonly string[];
}

const endpoint = (key: string, context: EndpointContext): Partial<EndpointSettings> => {
  const { service, name, ownName: own } = context;
  const given = service.networks?.[key] ?? undefined;
  const aliases = context.hasAliases ? [own, name, ...(given?.aliases ?? [])] : [own];
  const ipam = {
    ...(given?.ipv4_address === undefined ? {} : { IPv4Address: given.ipv4_address }),
    ...(given?.ipv6_address === undefined ? {} : { IPv6Address: given.ipv6_address }),
    ...(given?.link_local_ips === undefined ? {} : { LinkLocalIPs: [...given.link_local_ips] }),
  };
  const options = {
    ...given?.driver_opts,
    ...(given?.interface_name === undefined
      ? {}
      : { "com.docker.network.endpoint.ifname": given.interface_name }),
  };
  const isPrimary = networksByPriority(service)[0] === key;
  const mac = given?.mac_address ?? (isPrimary ? service.mac_address : undefined);
  return {
    Aliases: aliases,
    ...(context.links.length === 0 ? {} : { Links: [...context.links] }),
    ...(given === undefined ? {} : { IPAMConfig: ipam }),
    ...(mac === undefined ? {} : { MacAddress: mac }),
    ...(Object.keys(options).length === 0 ? {} : { DriverOpts: options }),
    ...(given?.gw_priority === undefined ? {} : { GwPriority: given.gw_priority }),
  };
};

export interface Endpoints {
  /** Of the host configuration. */
  readonly mode: string;
  /** By the network's name on the engine; the first is the mode's own. */
  readonly settings: readonly (readonly [string, Partial<EndpointSettings>])[];
}

export const endpointsOf = (context: EndpointContext): Endpoints => {
  const { service, model } = context;
  if (service.network_mode !== undefined) return { mode: service.network_mode, settings: [] };
  const settings = networksByPriority(service).map((key) => {
    const name = model.networks?.[key]?.name ?? key;
    return [name, endpoint(key, context)] as const;
  });
  return { mode: settings[0]?.[0] ?? "none", settings };
};

const portKey = (port: ServicePort): string => `${String(port.target)}/${port.protocol ?? "tcp"}`;

export const portBindingsOf = (ports: readonly ServicePort[]): PortMap => {
  const bindings: PortMap = {};
  for (const port of ports) {
    (bindings[portKey(port)] ??= [])?.push({
      HostIp: port.host_ip ?? "",
      HostPort: port.published ?? "",
    });
  }
  return bindings;
};

export const exposedPortsOf = (service: Service): Record<string, object> => {
  const exposed: Record<string, object> = {};
  for (const port of service.ports ?? []) exposed[portKey(port)] = {};
  for (const text of service.expose ?? []) {
    exposed[text] = {};
  }
  return exposed;
};

/** Body of POST /networks/create. */
export const networkRequest = (key: string, network: Network, model: Model, version: string) => {
  const { ipam } = network;
  return {
    Name: network.name,
    ...(network.driver === undefined ? {} : { Driver: network.driver }),
    Options: { ...network.driver_opts },
    Internal: network.internal === true,
    Attachable: network.attachable === true,
    ...(network.enable_ipv4 === undefined ? {} : { EnableIPv4: network.enable_ipv4 }),
    ...(network.enable_ipv6 === undefined ? {} : { EnableIPv6: network.enable_ipv6 }),
    ...(ipam === undefined
      ? {}
      : {
          IPAM: {
            Driver: ipam.driver ?? "default",
            Options: ipam.options ?? null,
            Config: (ipam.config ?? []).map((pool) => ({
              ...(pool.subnet === undefined ? {} : { Subnet: pool.subnet }),
              ...(pool.ip_range === undefined ? {} : { IPRange: pool.ip_range }),
              ...(pool.gateway === undefined ? {} : { Gateway: pool.gateway }),
              ...(pool.aux_addresses === undefined
                ? {}
                : { AuxiliaryAddresses: pool.aux_addresses }),
            })),
          },
        }),
    Labels: {
      ...network.labels,
      [LABEL.configHash]: networkHash(network),
      [LABEL.network]: key,
      [LABEL.project]: model.name,
      [LABEL.version]: version,
    },
  };
};
