/**
 * What older API versions meant by the same create request. `adjust` changes the request in place
 * and returns warnings for the answer; combinations that a version does not allow are refused.
 */
import { NaruError } from "#lib/errors.ts";
import type { CreateRequest } from "#spec/docker/container.ts";
import type { HostConfig } from "#spec/docker/host-config.ts";

const refuse = (message: string): never => {
  throw new NaruError("invalid_argument", message);
};

const MAC_DEPRECATED =
  "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.";
const DRIVER_IGNORED =
  "WARNING: the container-wide volume-driver configuration is ignored for volumes specified via 'mount'. Use '--mount type=volume,volume-driver=...' instead";

type Mounts = NonNullable<HostConfig["Mounts"]>;

/** Options of another mount type were ignored before 1.42 and are refused since. */
const adjustMounts = (mounts: Mounts, minor: number): void => {
  for (const mount of mounts) {
    for (const [option, type] of [
      ["VolumeOptions", "volume"],
      ["BindOptions", "bind"],
      ["TmpfsOptions", "tmpfs"],
    ] as const) {
      if (mount[option] === undefined || mount[option] === null || mount.Type === type) continue;
      if (minor >= 42) refuse(`${option} must not be specified on mount type "${mount.Type}"`);
      delete mount[option];
    }
    if (minor < 40) delete mount.BindOptions?.NonRecursive;
    if (minor < 42) delete mount.BindOptions?.CreateMountpoint;
    if (minor < 44 && mount.Type === "bind") {
      if (mount.BindOptions?.ReadOnlyForceRecursive === true) {
        refuse("BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer");
      }
      mount.BindOptions = { ...mount.BindOptions, ReadOnlyNonRecursive: true };
    }
    if (minor < 45 && (mount.VolumeOptions?.Subpath ?? "") !== "") {
      refuse("VolumeOptions.Subpath needs API v1.45 or newer");
    }
    if (minor < 48 && mount.Type === "image") {
      refuse('Mount type "Image" needs API v1.48 or newer');
    }
  }
};

/** "default" is another word for the default bridge, as a mode and as an endpoint's name. */
const adjustNetworkMode = (request: CreateRequest, host: Partial<HostConfig>): void => {
  if (host.NetworkMode !== undefined && host.NetworkMode !== "" && host.NetworkMode !== "default") {
    return;
  }
  host.NetworkMode = "bridge";
  const endpoints = request.NetworkingConfig?.EndpointsConfig;
  const byDefault = endpoints?.["default"];
  if (endpoints === undefined || byDefault === undefined) return;
  endpoints["bridge"] = byDefault;
  delete endpoints["default"];
};

/** The container-wide MAC address becomes that of the main network's endpoint. */
const adjustMacAddress = (
  request: CreateRequest,
  host: Partial<HostConfig>,
  minor: number,
): string[] => {
  const mac = request.MacAddress ?? "";
  const mode = host.NetworkMode ?? "bridge";
  const canHave = mode !== "host" && mode !== "none" && !mode.startsWith("container:");
  const endpoints = request.NetworkingConfig?.EndpointsConfig ?? {};
  if (mac === "") {
    // Before 1.44 an endpoint's own address was not looked at.
    if (minor < 44) for (const endpoint of Object.values(endpoints)) delete endpoint?.MacAddress;
    return [];
  }
  if (!canHave) {
    if (minor < 44) refuse("conflicting options: mac-address and the network mode");
    return [MAC_DEPRECATED];
  }
  const name = minor < 44 ? (Object.keys(endpoints)[0] ?? mode) : mode;
  if (minor >= 44 && Object.keys(endpoints).length > 0 && !(name in endpoints)) {
    refuse(
      "unable to migrate container-wide MAC address to a specific network: HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks",
    );
  }
  const endpoint = endpoints[name] ?? {};
  const own = endpoint.MacAddress ?? "";
  if (minor >= 44 && own !== "" && own !== mac) {
    refuse(
      "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty",
    );
  }
  endpoints[name] = { ...endpoint, MacAddress: mac };
  request.NetworkingConfig = { ...request.NetworkingConfig, EndpointsConfig: endpoints };
  return minor < 44 ? [] : [MAC_DEPRECATED];
};

const adjustHost = (host: Partial<HostConfig>, minor: number): string[] => {
  if (host.Mounts !== undefined) adjustMounts(host.Mounts, minor);
  if (minor < 40) {
    if ((host.IpcMode ?? "") === "") host.IpcMode = "shareable";
    delete host.PidsLimit;
  }
  if (minor < 42) delete host.ConsoleSize;
  if (minor < 43) delete host.Annotations;
  // 0 and everything negative mean "no limit".
  if (typeof host.PidsLimit === "number" && host.PidsLimit <= 0) delete host.PidsLimit;
  for (const [port, bindings] of Object.entries(host.PortBindings ?? {})) {
    if ((bindings ?? []).length > 0 || host.PortBindings === undefined) continue;
    host.PortBindings[port] = [{ HostIp: "", HostPort: "" }];
  }
  const isDriverIgnored =
    minor >= 48 &&
    (host.VolumeDriver ?? "") !== "" &&
    host.Mounts?.some(
      (mount) => mount.Type === "volume" && (mount.VolumeOptions?.DriverConfig?.Name ?? "") === "",
    ) === true;
  return isDriverIgnored ? [DRIVER_IGNORED] : [];
};

/** Returns warnings. Throws invalid_argument in Docker's words. */
export const adjustCreateRequest = (request: CreateRequest, minor: number): string[] => {
  const host: Partial<HostConfig> = request.HostConfig ?? {};
  request.HostConfig = host;
  adjustNetworkMode(request, host);
  const warnings = adjustHost(host, minor);
  if (minor < 44) {
    delete request.Healthcheck?.StartInterval;
    const names = Object.keys(request.NetworkingConfig?.EndpointsConfig ?? {});
    if (names.length > 1) {
      refuse(`Container cannot be created with multiple network endpoints: ${names.join(", ")}`);
    }
  }
  if (minor < 48) {
    for (const endpoint of Object.values(request.NetworkingConfig?.EndpointsConfig ?? {})) {
      delete endpoint?.GwPriority;
    }
  }
  return [...warnings, ...adjustMacAddress(request, host, minor)];
};
