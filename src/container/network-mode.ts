/** What a container's network mode means, and what cannot go together with it (pure). */
import { NaruError } from "#lib/errors.ts";
import type { ContainerConfig } from "#spec/docker/container-config.ts";
import type { CreateRequest } from "#spec/docker/container.ts";
import type { HostConfig } from "#spec/docker/host-config.ts";
import type { EndpointSettings } from "#spec/docker/network.ts";

export type NetworkMode =
  | { readonly kind: "bridge" | "none" | "host" }
  | { readonly kind: "container"; readonly container: string }
  | { readonly kind: "named"; readonly network: string };

export const parseNetworkMode = (text: string): NetworkMode => {
  if (text === "bridge" || text === "none" || text === "host") return { kind: text };
  if (text.startsWith("container:")) return { kind: "container", container: text.slice(10) };
  return { kind: "named", network: text };
};

const conflict = (what: string): never => {
  throw new NaruError("invalid_argument", `conflicting options: ${what}`);
};

export const validateNetworking = (
  request: CreateRequest,
  host: HostConfig,
  config: ContainerConfig,
): void => {
  const mode = parseNetworkMode(host.NetworkMode);
  const hasPorts = Object.keys(host.PortBindings).length > 0;
  if (mode.kind === "container") {
    if (mode.container === "")
      throw new NaruError(
        "invalid_argument",
        "Invalid network mode: invalid container format container:<name|id>",
      );
    if (request.Hostname) conflict("hostname and the network mode");
    if ((host.ExtraHosts?.length ?? 0) > 0)
      conflict("custom host-to-IP mapping and the network mode");
    if ((host.Dns?.length ?? 0) > 0) conflict("dns and the network mode");
    if (hasPorts || host.PublishAllPorts)
      conflict("port publishing and the container type network mode");
    if (Object.keys(request.ExposedPorts ?? {}).length > 0) {
      conflict("port exposing and the container type network mode");
    }
  }
  if (config.MacAddress && (mode.kind === "container" || mode.kind === "host")) {
    conflict("mac-address and the network mode");
  }
  if (host.UTSMode === "host" && request.Hostname) conflict("hostname and the UTS mode");
};

const EMPTY_ENDPOINT: EndpointSettings = {
  IPAMConfig: null,
  Links: null,
  Aliases: null,
  MacAddress: "",
  DriverOpts: null,
  GwPriority: 0,
  NetworkID: "",
  EndpointID: "",
  Gateway: "",
  IPAddress: "",
  IPPrefixLen: 0,
  IPv6Gateway: "",
  GlobalIPv6Address: "",
  GlobalIPv6PrefixLen: 0,
  DNSNames: null,
};

const refuse = (network: string, reason: string): never => {
  throw new NaruError(
    "invalid_argument",
    `invalid config for network ${network}: invalid endpoint settings:\n${reason}`,
  );
};

/** The wishes of a request for one endpoint; what naru cannot give is refused by name. */
export const askedEndpoint = (
  network: string,
  asked: Partial<EndpointSettings> | null | undefined,
): EndpointSettings => {
  const ipam = asked?.IPAMConfig ?? null;
  const aliases = asked?.Aliases ?? null;
  const hasAddress = Boolean(ipam?.IPv4Address) || Boolean(ipam?.IPv6Address);
  if (!isUserDefined(network)) {
    if (hasAddress) {
      refuse(network, "user specified IP address is supported on user defined networks only");
    }
    if ((aliases?.length ?? 0) > 0) {
      refuse(network, "network-scoped aliases are only supported for user-defined networks");
    }
  }
  if ((ipam?.LinkLocalIPs?.length ?? 0) > 0) {
    refuse(network, "link-local addresses are not supported");
  }
  return {
    ...EMPTY_ENDPOINT,
    IPAMConfig: ipam,
    Links: asked?.Links ?? null,
    Aliases: aliases,
    MacAddress: asked?.MacAddress ?? "",
    DriverOpts: asked?.DriverOpts ?? null,
    ...(asked?.GwPriority === undefined ? {} : { GwPriority: asked.GwPriority }),
  };
};

export const isUserDefined = (network: string): boolean =>
  !["default", "bridge", "host", "none"].includes(network);

/**
 * The endpoints of a new container by network name: that of its mode first, then what the request
 * names besides. `nameOf` tells a network's name by name or id, undefined when there is none (yet).
 */
export const initialEndpoints = (
  request: CreateRequest,
  host: HostConfig,
  nameOf: (network: string) => string | undefined,
): Record<string, EndpointSettings> => {
  const mode = parseNetworkMode(host.NetworkMode);
  const asked = Object.entries(request.NetworkingConfig?.EndpointsConfig ?? {});
  if (mode.kind === "container") {
    if (asked.length > 0) conflict("network endpoints and the container type network mode");
    return {};
  }
  const main = nameOf(host.NetworkMode) ?? host.NetworkMode;
  const byName = new Map<string, Partial<EndpointSettings> | null>([[main, {}]]);
  for (const [given, settings] of asked) {
    const name = given === "default" ? "bridge" : (nameOf(given) ?? given);
    byName.set(name, settings);
  }
  if (byName.size > 1 && mode.kind === "none") {
    throw new NaruError(
      "invalid_argument",
      "container cannot be connected to multiple networks with one of the networks in private (none) mode",
    );
  }
  if (byName.size > 1 && mode.kind === "host") {
    throw new NaruError(
      "invalid_argument",
      "container sharing network namespace with another container or host cannot be connected to any other network",
    );
  }
  return Object.fromEntries([...byName].map(([name, one]) => [name, askedEndpoint(name, one)]));
};
