/** From containers to the front door's table. Pure. */
import { DOOR_DOMAIN, type DoorRoute, type DoorTarget } from "#door/door.ts";

/** A container as far as the front door looks at it. */
export interface DoorContainer {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** "running", "exited (1)", … */
  readonly status: string;
  readonly isRunning: boolean;
  readonly health: "none" | "starting" | "healthy" | "unhealthy";
  /** Reached from the host; undefined: on no network that the host is on. */
  readonly ip: string | undefined;
  /** Container ports of TCP: exposed and published ones. */
  readonly ports: readonly number[];
}

const SERVICE = "com.docker.compose.service";
const PROJECT = "com.docker.compose.project";
const ONE_OFF = "com.docker.compose.oneoff";

/** Ports that web servers have by custom, the likelier first. */
const USUAL = [80, 8080, 3000, 8000, 5000, 8888, 4000, 9000];

/** As a label of a host name: what cannot stand there becomes a hyphen. "" when nothing is left. */
export const hostLabel = (text: string): string =>
  text
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, "-")
    .replaceAll(/^-+|-+$/g, "");

const parsePort = (text: string | undefined): number | undefined => {
  const port = Number(text);
  return text !== undefined && /^\d+$/.test(text) && port > 0 && port < 65_536 ? port : undefined;
};

export const portOf = ({ labels, ports }: DoorContainer): number | undefined => {
  const asked = labels["naru.http.port"];
  if (asked !== undefined) return parsePort(asked);
  return USUAL.find((port) => ports.includes(port)) ?? ports.toSorted((a, b) => a - b)[0];
};

const targetOf = (container: DoorContainer): DoorTarget => {
  const { name, ip, health, status } = container;
  if (!container.isRunning) return { name, state: "down", reason: status };
  if (ip === undefined) {
    return { name, state: "down", reason: "it is on no network that this machine is on" };
  }
  const port = portOf(container);
  if (port === undefined) {
    const asked = container.labels["naru.http.port"];
    const reason =
      asked === undefined
        ? "it exposes no port: say which one by the label naru.http.port"
        : `its label naru.http.port is "${asked}", which is no port`;
    return { name, state: "down", reason };
  }
  if (health === "starting" || health === "unhealthy") {
    const reason =
      health === "starting" ? "its health check has not passed yet" : "its health check fails";
    return { name, state: "waiting", reason, ip, port };
  }
  return { name, state: "ready", ip, port };
};

const pathOf = (labels: DoorContainer["labels"]): string => {
  const trimmed = (labels["naru.http.path"] ?? "").replaceAll(/^\/+|\/+$/g, "");
  return `/${trimmed}`;
};

/** Names that a container is reached by, and what stands behind each in words. */
const hostsOf = ({ name, labels }: DoorContainer): { host: string; what: string }[] => {
  const hosts: { host: string; what: string }[] = [];
  const own = `container "${name}"`;
  const service = labels[SERVICE];
  const project = labels[PROJECT];
  if (service !== undefined && project !== undefined && labels[ONE_OFF] !== "True") {
    const host = `${hostLabel(service)}.${hostLabel(project)}.${DOOR_DOMAIN}`;
    hosts.push({ host, what: `service "${service}" of project "${project}"` });
  }
  if (hostLabel(name) !== "") hosts.push({ host: `${hostLabel(name)}.${DOOR_DOMAIN}`, what: own });
  const further = (labels["naru.http.host"] ?? "").toLowerCase().split(",");
  for (const text of further) {
    const host = text.trim().replace(/\.$/, "");
    const what = hosts[0]?.what ?? own;
    if (/^[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?$/.test(host)) hosts.push({ host, what });
  }
  return hosts;
};

/** Names below it lead to the containers themselves, whether the front door is on or not. */
const DIRECT = `ip.${DOOR_DOMAIN}`;

/**
 * Every name with the addresses that programs of this machine should ask for it: with the front door on
 * the loopback, as browsers have it; else, and always below `ip.`, the containers' own.
 */
export const hostNamesOf = (
  containers: readonly DoorContainer[],
  isDoorOn: boolean,
): Record<string, string[]> => {
  const names = new Map<string, { ip: string; isWell: boolean }[]>();
  for (const container of containers) {
    const { ip, isRunning, health } = container;
    if (!isRunning || ip === undefined) continue;
    const isWell = health === "none" || health === "healthy";
    for (const { host } of hostsOf(container)) {
      if (host.endsWith(`.${DOOR_DOMAIN}`))
        names.set(host, [...(names.get(host) ?? []), { ip, isWell }]);
    }
  }
  return Object.fromEntries(
    [...names].flatMap(([host, all]) => {
      const well = all.filter((one) => one.isWell);
      const own = (well.length > 0 ? well : all).map(({ ip }) => ip);
      const direct = `${host.slice(0, -DOOR_DOMAIN.length)}${DIRECT}`;
      return [
        [host, isDoorOn ? ["127.0.0.1", "::1"] : own],
        [direct, own],
      ];
    }),
  );
};

/** One route a host and path, in a stable order. */
export const routesOf = (containers: readonly DoorContainer[]): DoorRoute[] => {
  const routes = new Map<string, DoorRoute & { readonly targets: DoorTarget[] }>();
  for (const container of containers) {
    if (container.labels["naru.http"] === "false") continue;
    const target = targetOf(container);
    const path = pathOf(container.labels);
    for (const { host, what } of hostsOf(container)) {
      const key = `${host}${path}`;
      const route = routes.get(key) ?? { host, path, what, targets: [] };
      routes.set(key, route);
      route.targets.push(target);
    }
  }
  return [...routes.values()].toSorted((a, b) => (a.host + a.path < b.host + b.path ? -1 : 1));
};
