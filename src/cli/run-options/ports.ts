/** --publish and --expose: `[ip:]host:container[/protocol]` with ranges, as docker reads them. */
import { isIP } from "#lib/ip-address.ts";
import { cut } from "#cli/run-options/csv.ts";
import type { PortMap } from "#spec/docker/host-config.ts";

const PROTOCOLS = new Set(["tcp", "udp", "sctp"]);
const MAX_PORT = 65_535;

interface Range {
  readonly first: number;
  readonly last: number;
}

const parseRange = (text: string): Range | undefined => {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text);
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  return last < first || last > MAX_PORT ? undefined : { first, last };
};

const splitProtocol = (text: string): { ports: string; protocol: string } => {
  const [ports, protocol = "tcp"] = cut(text, "/");
  const lower = (protocol === "" ? "tcp" : protocol).toLowerCase();
  if (!PROTOCOLS.has(lower)) throw new Error(`invalid proto: ${protocol}`);
  return { ports, protocol: lower };
};

const splitParts = (text: string): { ip: string; host: string; container: string } => {
  const parts = text.split(":");
  const container = parts.pop() ?? "";
  const host = parts.pop() ?? "";
  return { ip: parts.join(":"), host, container };
};

/** `published=80,target=8080,protocol=tcp`, the long form. */
const fromLongForm = (text: string): string => {
  const fields: Record<string, string> = { protocol: "tcp" };
  for (const field of text.split(",")) {
    const [key, value] = cut(field);
    if (value === undefined || key === "") {
      throw new Error(`invalid publish opts format (should be name=value but got '${field}')`);
    }
    fields[key] = value;
  }
  return `${fields["published"] ?? ""}:${fields["target"] ?? ""}/${fields["protocol"] ?? ""}`;
};

const publish = (text: string, bindings: PortMap): void => {
  const { ip: rawIp, host, container: target } = splitParts(text);
  const { ports: container, protocol } = splitProtocol(target);
  const ip = rawIp.startsWith("[") && rawIp.endsWith("]") ? rawIp.slice(1, -1) : rawIp;
  if (ip !== "" && !isIP(ip)) throw new Error(`invalid IP address: ${ip}`);
  if (container === "") throw new Error(`no port specified: ${text}<empty>`);
  const inside = parseRange(container);
  if (inside === undefined) throw new Error(`invalid containerPort: ${container}`);
  const outside = host === "" ? undefined : parseRange(host);
  if (host !== "" && outside === undefined) throw new Error(`invalid hostPort: ${host}`);
  const count = inside.last - inside.first + 1;
  const isSpread = outside !== undefined && outside.last - outside.first + 1 !== count;
  if (isSpread && count > 1) {
    throw new Error(
      `invalid ranges specified for container and host Ports: ${container} and ${host}`,
    );
  }
  for (let step = 0; step < count; step += 1) {
    const key = `${String(inside.first + step)}/${protocol}`;
    const hostPort = outside === undefined ? "" : isSpread ? host : String(outside.first + step);
    const known = bindings[key] ?? [];
    bindings[key] = [...known, { HostIp: ip, HostPort: hostPort }];
  }
};

/** Throws with docker's words on what is not a port. */
export const parsePorts = (
  published: readonly string[],
  exposed: readonly string[],
): { bindings: PortMap; exposedPorts: Record<string, object> } => {
  const bindings: PortMap = {};
  for (const text of published) publish(text.includes("=") ? fromLongForm(text) : text, bindings);
  const exposedPorts: Record<string, object> = {};
  for (const key of Object.keys(bindings)) exposedPorts[key] = {};
  for (const text of exposed) {
    if (text.includes(":")) throw new Error(`invalid port format for --expose: ${text}`);
    const { ports, protocol } = splitProtocol(text);
    const range = parseRange(ports);
    if (range === undefined) throw new Error(`invalid range format for --expose: ${text}`);
    for (let port = range.first; port <= range.last; port += 1) {
      exposedPorts[`${String(port)}/${protocol}`] = {};
    }
  }
  return { bindings, exposedPorts };
};
