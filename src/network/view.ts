/** Networks and endpoints in the words of Docker's API. Pure. */
import type { EndpointSettings, NetworkContainer, NetworkResponse } from "#spec/docker/network.ts";
import type { EndpointView, NetworkRecord, Sandbox } from "#network/network.ts";

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

export const endpointSettings = (sandbox: Sandbox): EndpointSettings => ({
  ...emptyEndpointSettings(sandbox.networkId),
  EndpointID: sandbox.endpointId,
  MacAddress: sandbox.mac,
  Gateway: sandbox.gateway,
  IPAddress: sandbox.ip,
  IPPrefixLen: sandbox.prefix,
});

const networkContainer = ({ containerName, sandbox }: EndpointView): NetworkContainer => ({
  Name: containerName,
  EndpointID: sandbox.endpointId,
  MacAddress: sandbox.mac,
  IPv4Address: sandbox.ip === "" ? "" : `${sandbox.ip}/${sandbox.prefix}`,
  IPv6Address: "",
});

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
  EnableIPv6: false,
  IPAM: {
    Driver: "default",
    Options: null,
    Config:
      record.bridge === undefined
        ? []
        : [{ Subnet: record.bridge.subnet, Gateway: record.bridge.gateway }],
  },
  Internal: false,
  Attachable: false,
  Ingress: false,
  ConfigFrom: { Network: "" },
  ConfigOnly: false,
  Containers: Object.fromEntries(endpoints.map((e) => [e.containerId, networkContainer(e)])),
  Options: { ...record.options },
  Labels: { ...record.labels },
});
