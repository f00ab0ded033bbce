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

/** The endpoints of a new container: that of its mode, with what the request says of it. */
export const initialEndpoints = (
  request: CreateRequest,
  host: HostConfig,
): Record<string, EndpointSettings> => {
  const mode = parseNetworkMode(host.NetworkMode);
  if (mode.kind === "container") return {};
  const asked = request.NetworkingConfig?.EndpointsConfig ?? {};
  const others = Object.keys(asked).filter(
    (name) => name !== host.NetworkMode && name !== "default",
  );
  if (others.length > 0) {
    throw new NaruError(
      "not_implemented",
      `connecting to network "${others[0]}" is not supported yet: only bridge, host and none are there`,
    );
  }
  const own = asked[host.NetworkMode] ?? asked["default"] ?? {};
  if ((own.IPAMConfig?.IPv4Address || own.IPAMConfig?.IPv6Address) !== undefined) {
    throw new NaruError(
      "invalid_argument",
      "invalid config for network bridge: invalid endpoint settings:\nuser specified IP address is supported on user defined networks only",
    );
  }
  if ((own.Aliases?.length ?? 0) > 0) {
    throw new NaruError(
      "invalid_argument",
      "invalid config for network bridge: invalid endpoint settings:\nnetwork-scoped aliases are only supported for user-defined networks",
    );
  }
  return { [host.NetworkMode]: { ...EMPTY_ENDPOINT, ...own } };
};
