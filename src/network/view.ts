/** Networks and endpoints in the words of Docker's API. Pure. */
import type {
  EndpointSettings,
  IpamConfig,
  NetworkContainer,
  NetworkResponse,
} from "#spec/docker/network.ts";
import type { Endpoint, EndpointView, NetworkRecord } from "#network/network.ts";

/** The endpoint of a container on the host's or another container's network. */
export const emptyEndpointSettings = (networkId: string): EndpointSettings => ({
  IPAMConfig: null,
  Links: null,
  Aliases: null,
  MacAddress: "",
  DriverOpts: null,
  GwPriority: 0,
  NetworkID: networkId,
  EndpointID: "",
  Gateway: "",
  IPAddress: "",
  IPPrefixLen: 0,
  IPv6Gateway: "",
  GlobalIPv6Address: "",
  GlobalIPv6PrefixLen: 0,
  DNSNames: null,
});

export const endpointSettings = (endpoint: Endpoint): EndpointSettings => ({
  ...emptyEndpointSettings(endpoint.networkId),
  GwPriority: endpoint.gatewayPriority,
  EndpointID: endpoint.endpointId,
  MacAddress: endpoint.mac,
  Gateway: endpoint.gateway,
  IPAddress: endpoint.ip,
  IPPrefixLen: endpoint.prefix,
  IPv6Gateway: endpoint.ipv6?.gateway ?? "",
  GlobalIPv6Address: endpoint.ipv6?.ip ?? "",
  GlobalIPv6PrefixLen: endpoint.ipv6?.prefix ?? 0,
  DNSNames: endpoint.names.length === 0 ? null : [...endpoint.names],
});

const networkContainer = ({ containerName, endpoint }: EndpointView): NetworkContainer => ({
  Name: containerName,
  EndpointID: endpoint.endpointId,
  MacAddress: endpoint.mac,
  IPv4Address: endpoint.ip === "" ? "" : `${endpoint.ip}/${endpoint.prefix}`,
  IPv6Address: endpoint.ipv6 === undefined ? "" : `${endpoint.ipv6.ip}/${endpoint.ipv6.prefix}`,
});

/** Of the predefined networks, which nobody asked for: what the bridge has. */
const ipamConfigOf = ({ bridge, ipam, driver }: NetworkRecord): IpamConfig[] | null => {
  if (ipam !== undefined) return [...ipam.config];
  if (driver === "host" || driver === "null") return null;
  return bridge === undefined ? [] : [{ Subnet: bridge.subnet, Gateway: bridge.gateway }];
};

export const networkResponse = (
  record: NetworkRecord,
  endpoints: readonly EndpointView[],
): NetworkResponse => ({
  Name: record.name,
  Id: record.id,
  Created: record.createdAt,
  Scope: "local",
  Driver: record.driver,
  EnableIPv4: true,
  EnableIPv6: record.bridge?.ipv6 !== undefined,
  IPAM: {
    Driver: "default",
    Options: record.ipam?.options ? { ...record.ipam.options } : null,
    Config: ipamConfigOf(record),
  },
  Internal: record.bridge?.isInternal === true,
  Attachable: record.isAttachable === true,
  Ingress: false,
  ConfigFrom: { Network: record.configFrom ?? "" },
  ConfigOnly: record.isConfigOnly === true,
  Containers: Object.fromEntries(endpoints.map((e) => [e.containerId, networkContainer(e)])),
  Options: { ...record.options },
  Labels: { ...record.labels },
});
