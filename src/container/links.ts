/**
 * `--link`, Docker's names from before there were networks with names. On the default bridge a link is lines
 * in /etc/hosts and variables (moby daemon/links); on a network with names it is a name of the target that
 * this container alone knows, which the resolver tells.
 */
import { basename } from "node:path";
import { NaruError, toNaruError } from "#lib/errors.ts";
import type { ContainerLink, ContainerRecord } from "#container/container.ts";
import { isLive } from "#container/container.ts";
import type { Engine } from "#container/engine.ts";
import { isUserDefined, parseNetworkMode } from "#container/network-mode.ts";

/** "target", "target:alias", or what inspect shows of one: "/target:/parent/alias". */
export const parseLink = (text: string): { readonly target: string; readonly alias: string } => {
  const [first = "", second = first, third] = text.split(":");
  const target = first.replace(/^\//, "");
  const alias = basename(second);
  if (target === "" || alias === "" || third !== undefined) {
    throw new NaruError("invalid_argument", `bad format for links: ${text}`);
  }
  return { target, alias };
};

const linkTarget = (engine: Engine, target: string): ContainerRecord => {
  try {
    return engine.states.get(target);
  } catch (cause) {
    const { message } = toNaruError(cause);
    throw new NaruError("not_found", `could not get container for ${target}: ${message}`, {
      cause,
    });
  }
};

/** What a new container links to; only the default bridge has links of this kind. */
export const linksOf = (
  engine: Engine,
  networkMode: string,
  links: readonly string[] | null,
): readonly ContainerLink[] => {
  if (links === null || isUserDefined(networkMode)) return [];
  return links.map((text) => {
    const { target, alias } = parseLink(text);
    const { id, hostConfig } = linkTarget(engine, target);
    if (parseNetworkMode(hostConfig.NetworkMode).kind === "host") {
      throw new NaruError(
        "invalid_argument",
        "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
      );
    }
    return { containerId: id, alias };
  });
};

interface Linked {
  readonly alias: string;
  readonly target: ContainerRecord;
  readonly address: string;
}

const linked = (engine: Engine, record: ContainerRecord): Linked[] =>
  (record.links ?? []).flatMap(({ containerId, alias }) => {
    const target = engine.states.find(containerId);
    const address = target?.sandbox?.endpoints.find((one) => one.networkName === "bridge")?.ip;
    return target === undefined || address === undefined ? [] : [{ alias, target, address }];
  });

/** Throws in Docker's words when a target does not run. */
export const checkLinks = (engine: Engine, record: ContainerRecord): void => {
  for (const { containerId, alias } of record.links ?? []) {
    const target = engine.states.find(containerId);
    if (target !== undefined && isLive(target.state)) continue;
    throw new NaruError(
      "invalid_argument",
      `Cannot link to a non running container: /${target?.name ?? containerId} AS /${record.name}/${alias}`,
    );
  }
};

/** Lines of /etc/hosts. */
export const linkedHosts = (
  engine: Engine,
  record: ContainerRecord,
): { readonly address: string; readonly names: readonly string[] }[] =>
  linked(engine, record).map(({ alias, target, address }) => ({
    address,
    names: [...new Set([alias, target.config.Hostname, target.name])],
  }));

const portsOf = (target: ContainerRecord): { port: string; protocol: string }[] =>
  Object.keys(target.config.ExposedPorts ?? {})
    .map((key) => {
      const [port = "", protocol = "tcp"] = key.split("/");
      return { port, protocol };
    })
    .toSorted((a, b) => Number(a.port) - Number(b.port) || (a.protocol < b.protocol ? -1 : 1));

const variablesOf = (parent: string, { alias, target, address }: Linked): string[] => {
  const prefix = alias.toUpperCase().replaceAll("-", "_");
  const ports = portsOf(target);
  const first = ports[0];
  return [
    ...(first === undefined ? [] : [`${prefix}_PORT=${first.protocol}://${address}:${first.port}`]),
    ...ports.flatMap(({ port, protocol }) => {
      const name = `${prefix}_PORT_${port}_${protocol.toUpperCase()}`;
      return [
        `${name}=${protocol}://${address}:${port}`,
        `${name}_ADDR=${address}`,
        `${name}_PORT=${port}`,
        `${name}_PROTO=${protocol}`,
      ];
    }),
    `${prefix}_NAME=/${parent}/${alias}`,
    ...target.config.Env.filter((entry) => /^(?!HOME=|PATH=)[^=]+=/.test(entry)).map(
      (entry) => `${prefix}_ENV_${entry}`,
    ),
  ];
};

/** Variables of the process; the container's own come after them. */
export const linkedEnv = (engine: Engine, record: ContainerRecord): string[] =>
  linked(engine, record).flatMap((one) => variablesOf(record.name, one));

/** Takes one away: "parent/alias" or "/parent/alias". */
export const removeLink = (engine: Engine, text: string): void => {
  const [parent = "", alias = ""] = text.replace(/^\//, "").split("/");
  const record = engine.states.get(parent);
  const links = record.links ?? [];
  if (!links.some((link) => link.alias === alias)) {
    throw new NaruError("not_found", `no link "${alias}" of container "${record.name}"`);
  }
  engine.transition(record.id, { links: links.filter((link) => link.alias !== alias) });
};
