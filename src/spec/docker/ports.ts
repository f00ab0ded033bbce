/**
 * Ports as Docker writes them: "80/tcp" keys, "8000-8010" ranges, and the map from container ports to
 * host bindings (Engine API `PortMap`). Texts of the refusals are the ones clients know.
 */
import { NaruError } from "#lib/errors.ts";
import { isIP } from "#lib/ip-address.ts";
import type { PortBinding, PortMap } from "#spec/docker/host-config.ts";

export type PortProtocol = "tcp" | "udp";

export interface Port {
  /** 1..65535 */
  readonly number: number;
  readonly protocol: PortProtocol;
}

/** Both ends included; `first <= last`. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** One wanted binding of one container port. */
export interface PublishRequest {
  readonly port: Port;
  /** "0.0.0.0" or "::" = every address of the host in that family, "" = the daemon's default. */
  readonly hostIp: string;
  /** undefined = any free port; a range = any free port of it. */
  readonly hostPorts: PortRange | undefined;
}

const refuse = (message: string): never => {
  throw new NaruError("invalid_argument", message);
};

const parseNumber = (text: string): number | undefined => {
  if (!/^\d{1,5}$/.test(text)) return undefined;
  const value = Number(text);
  return value <= 65535 ? value : undefined;
};

/** "8000" or "8000-8010". Throws invalid_argument. */
export const parsePortRange = (text: string): PortRange => {
  const [from = "", to = from, ...rest] = text.split("-");
  const first = parseNumber(from);
  const last = parseNumber(to);
  if (first === undefined || last === undefined || rest.length > 0 || last < first) {
    return refuse(`invalid port specification: "${text}"`);
  }
  return { first, last };
};

const parseProtocol = (text: string, whole: string): PortProtocol => {
  const protocol = text.toLowerCase();
  if (protocol === "" || protocol === "tcp") return "tcp";
  if (protocol === "udp") return "udp";
  if (protocol === "sctp") {
    throw new NaruError(
      "not_implemented",
      `port "${whole}" cannot be published: protocol "sctp" is not supported, only tcp and udp are`,
    );
  }
  return refuse(`invalid port specification: "${whole}": unknown protocol "${text}"`);
};

/** "80", "80/tcp", "53/udp" of one port. Throws invalid_argument, or not_implemented for sctp. */
export const parsePort = (text: string): Port => {
  const [digits = "", protocol = "", ...rest] = text.split("/");
  const number = parseNumber(digits);
  if (number === undefined || number === 0 || rest.length > 0) {
    return refuse(`invalid port specification: "${digits}"`);
  }
  return { number, protocol: parseProtocol(protocol, text) };
};

export const formatPort = (port: Port): string => `${port.number}/${port.protocol}`;

const parseHostIp = (hostIp: string): string => {
  const bare = hostIp.replace(/^\[(.*)\]$/, "$1");
  if (bare === "") return "";
  if (!isIP(bare)) return refuse(`invalid IP address in port binding: "${hostIp}"`);
  return bare;
};

const parseBinding = (port: Port, binding: PortBinding): PublishRequest => {
  const hostPort = binding.HostPort ?? "";
  const range = hostPort === "" ? undefined : parsePortRange(hostPort.split("/")[0] ?? "");
  return {
    port,
    hostIp: parseHostIp(binding.HostIp ?? ""),
    hostPorts: range?.first === 0 && range.last === 0 ? undefined : range,
  };
};

const byPort = (a: Port, b: Port): number =>
  a.number - b.number || (a.protocol < b.protocol ? -1 : a.protocol > b.protocol ? 1 : 0);

/**
 * Every wanted binding of the map, by container port. A port with null or [] asks for nothing and is
 * not looked at. Throws invalid_argument, or not_implemented for sctp.
 */
export const parsePortMap = (map: PortMap): PublishRequest[] =>
  Object.entries(map)
    .filter(([, bindings]) => (bindings ?? []).length > 0)
    .map(([key, bindings]) => ({ port: parsePort(key), bindings: bindings ?? [] }))
    .toSorted((a, b) => byPort(a.port, b.port))
    .flatMap(({ port, bindings }) => bindings.map((binding) => parseBinding(port, binding)));

/**
 * "80/tcp" keys of what an image or a container exposes: compose clients write "80" and "80-82" too,
 * which stay as they are in the configuration. What is no port is left as it is.
 */
export const exposedKeys = (exposed: Readonly<Record<string, unknown>>): string[] =>
  Object.keys(exposed).flatMap((key) => {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?(\/\w+)?$/.exec(key);
    if (match === null) return [key];
    const [, from = "", to = from, protocol = "/tcp"] = match;
    const count = Math.min(Number(to), 65_535) - Number(from) + 1;
    return count < 1
      ? [key]
      : Array.from({ length: count }, (_, at) => `${Number(from) + at}${protocol}`);
  });

/**
 * `-P`: every exposed port that has no binding of its own gets one with any free host port. The result
 * is a new map; what is bound already stays.
 */
export const publishAllPorts = (
  exposed: Readonly<Record<string, unknown>>,
  map: PortMap,
): PortMap => {
  const result: PortMap = { ...map };
  for (const key of Object.keys(exposed)) {
    const name = formatPort(parsePort(key));
    if ((result[name] ?? []).length === 0) result[name] = [{ HostIp: "", HostPort: "" }];
  }
  return result;
};
