/** The PORTS column: neighbouring ports of one address and protocol become a range. */
import type { PortSummary } from "#spec/docker/container.ts";

const joinHostPort = (ip: string, port: string): string =>
  ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;

const compare = (a: PortSummary, b: PortSummary): number => {
  if (a.PrivatePort !== b.PrivatePort) return a.PrivatePort - b.PrivatePort;
  const [ipA, ipB] = [a.IP ?? "", b.IP ?? ""];
  if (ipA !== ipB) return ipA < ipB ? -1 : 1;
  if (a.PublicPort !== b.PublicPort) return (a.PublicPort ?? 0) - (b.PublicPort ?? 0);
  return a.Type < b.Type ? -1 : 1;
};

interface Group {
  readonly ip: string;
  readonly type: string;
  readonly first: number;
  last: number;
}

const formatGroup = ({ ip, type, first, last }: Group): string => {
  const range = first === last ? String(first) : `${String(first)}-${String(last)}`;
  return ip === "" ? `${range}/${type}` : `${joinHostPort(ip, range)}->${range}/${type}`;
};

export const formatPorts = (ports: readonly PortSummary[]): string => {
  const groups = new Map<string, Group>();
  const closed: string[] = [];
  const mappings: string[] = [];
  for (const port of ports.toSorted(compare)) {
    const ip = port.IP ?? "";
    if (ip !== "" && port.PublicPort !== port.PrivatePort) {
      const host = joinHostPort(ip, String(port.PublicPort ?? ""));
      mappings.push(`${host}->${String(port.PrivatePort)}/${port.Type}`);
      continue;
    }
    const key = `${ip}/${port.Type}`;
    const group = groups.get(key);
    if (group !== undefined && port.PrivatePort === group.last + 1) {
      group.last = port.PrivatePort;
      continue;
    }
    if (group !== undefined) closed.push(formatGroup(group));
    groups.set(key, { ip, type: port.Type, first: port.PrivatePort, last: port.PrivatePort });
  }
  return [...closed, ...[...groups.values()].map(formatGroup), ...mappings].join(", ");
};
