/** A container's network at start and at its end: sandbox, published ports, endpoints for inspect. */
import { NaruError, toNaruError } from "#lib/errors.ts";
import type { ContainerRecord } from "#container/container.ts";
import type { Engine } from "#container/engine.ts";
import { isProbed } from "#container/health.ts";
import { parseLink } from "#container/links.ts";
import { isUserDefined, parseNetworkMode } from "#container/network-mode.ts";
import { exposedKeys, publishAllPorts } from "#spec/docker/ports.ts";
import { gatewayEndpoint } from "#network/gateway.ts";
import type { Endpoint, EndpointOrder, Sandbox } from "#network/network.ts";
import type { PortMap } from "#spec/docker/host-config.ts";
import type { EndpointSettings } from "#spec/docker/network.ts";

const SHORT_ID_LENGTH = 12;

/** What the user asked of the endpoint stays; what the network gave is laid over it. */
const mergeEndpoint = (
  asked: EndpointSettings | undefined,
  given: EndpointSettings,
): EndpointSettings => ({
  ...given,
  IPAMConfig: asked?.IPAMConfig ?? null,
  Links: asked?.Links ?? null,
  Aliases: asked?.Aliases ?? null,
  DriverOpts: asked?.DriverOpts ?? null,
  ...(asked?.GwPriority === undefined ? {} : { GwPriority: asked.GwPriority }),
});

const unnamedEndpoint = (engine: Engine, network: string, asked: EndpointSettings | undefined) => {
  const record = engine.deps.network.get(network);
  return asked === undefined ? {} : { [network]: { ...asked, NetworkID: record.id } };
};

/** What a container is called in a user-defined network; the default bridge knows no names. */
export const endpointNames = (
  record: ContainerRecord,
  network: string,
  aliases: readonly string[] | null | undefined,
): string[] =>
  isUserDefined(network)
    ? [
        ...new Set([
          record.name,
          ...(aliases ?? []),
          record.id.slice(0, SHORT_ID_LENGTH),
          ...(record.config.Hostname === "" ? [] : [record.config.Hostname]),
        ]),
      ]
    : [];

/** Names of others that this container alone knows. */
const endpointLinks = (
  network: string,
  links: readonly string[] | null,
): { links?: Readonly<Record<string, string>> } =>
  links === null || links.length === 0 || !isUserDefined(network)
    ? {}
    : {
        links: Object.fromEntries(
          links
            .map(parseLink)
            .map(({ target, alias }) => [
              alias.toLowerCase(),
              (/^[0-9a-f]{64}$/.test(target)
                ? target.slice(0, SHORT_ID_LENGTH)
                : target
              ).toLowerCase(),
            ]),
        ),
      };

/** What is wanted of the network for one endpoint of the record. */
export const orderOf = (
  record: ContainerRecord,
  network: string,
  asked: EndpointSettings,
): EndpointOrder => {
  const ip = asked.IPAMConfig?.IPv4Address;
  const ip6 = asked.IPAMConfig?.IPv6Address;
  const isMain = network === record.hostConfig.NetworkMode || !isUserDefined(network);
  const mac = (isMain ? record.config.MacAddress : undefined) || record.askedMacs?.[network];
  return {
    network,
    names: endpointNames(record, network, asked.Aliases),
    ...endpointLinks(network, asked.Links),
    ...(ip ? { ip } : {}),
    ...(ip6 ? { ip6 } : {}),
    ...(mac ? { mac } : {}),
    ...(asked.GwPriority === undefined ? {} : { gatewayPriority: asked.GwPriority }),
    ...(asked.DriverOpts === null ? {} : { options: asked.DriverOpts }),
  };
};

/** Throws invalid_argument in Docker's words; a network that is not there (yet) is no fault. */
export const checkEndpoint = (
  engine: Engine,
  record: ContainerRecord,
  network: string,
  asked: EndpointSettings,
): void => {
  const known = engine.deps.network.list().find(({ name }) => name === network);
  const order = orderOf(record, network, asked);
  if (known === undefined) return;
  try {
    engine.deps.network.checkOrder(order);
  } catch (thrown) {
    const { code, message, details } = toNaruError(thrown);
    const text = `invalid config for network ${network}: ${message}`;
    throw new NaruError(code, text, { cause: thrown, details });
  }
};

/** Endpoints for inspect: of each network what the sandbox has there, in the record's order. */
export const filledEndpoints = (
  engine: Engine,
  asked: Readonly<Record<string, EndpointSettings>>,
  endpoints: readonly Endpoint[],
): Record<string, EndpointSettings> =>
  Object.fromEntries(
    endpoints.map((endpoint) => [
      endpoint.networkName,
      mergeEndpoint(
        asked[endpoint.networkName] ?? asked[endpoint.networkId],
        engine.deps.network.endpointSettings(endpoint),
      ),
    ]),
  );

/** Ports wished for: with host ports where `realized` has some already. */
const wantedPorts = (record: ContainerRecord, realized: PortMap): PortMap => {
  const { PortBindings, PublishAllPorts } = record.hostConfig;
  const keys = exposedKeys(record.config.ExposedPorts ?? {});
  const exposed = Object.fromEntries(keys.map((port) => [port, {}]));
  return {
    ...Object.fromEntries(keys.map((port) => [port, null])),
    ...(PublishAllPorts ? publishAllPorts(exposed, PortBindings) : PortBindings),
    ...realized,
  };
};

/** Leads the container's ports to where its default route goes; gives them as they are then. */
export const publishPorts = async (
  engine: Engine,
  record: ContainerRecord,
  sandbox: Sandbox,
  realized: PortMap = {},
): Promise<PortMap> => {
  const ports = wantedPorts(record, realized);
  const hasPorts = Object.values(ports).some((bindings) => (bindings?.length ?? 0) > 0);
  if (!hasPorts) return gatewayEndpoint(sandbox.endpoints) === undefined ? {} : ports;
  const order = { containerId: record.id, containerName: record.name, sandbox, ports };
  return await engine.deps.network.publish(order);
};

/** Changes of the record that the started network brings. Everything is undone on a throw. */
export const connectNetwork = async (
  engine: Engine,
  record: ContainerRecord,
): Promise<Partial<ContainerRecord>> => {
  const { network } = engine.deps;
  const mode = parseNetworkMode(record.hostConfig.NetworkMode);
  if (mode.kind === "container") return { endpoints: {}, ports: {} };
  if (mode.kind === "host") {
    return { endpoints: unnamedEndpoint(engine, "host", record.endpoints["host"]), ports: {} };
  }
  const isNone = "none" in record.endpoints || record.config.NetworkDisabled === true;
  const sandbox = await network.acquire({
    containerId: record.id,
    mode: isNone ? "none" : "bridge",
    nameservers: record.hostConfig.Dns ?? [],
    ...(isProbed(record) ? { health: "starting" as const } : {}),
    endpoints: isNone
      ? []
      : Object.entries(record.endpoints).map(([name, asked]) => orderOf(record, name, asked)),
  });
  try {
    const endpoints = filledEndpoints(engine, record.endpoints, sandbox.endpoints);
    if (isNone) return { sandbox, endpoints, ports: {} };
    return { sandbox, endpoints, ports: await publishPorts(engine, record, sandbox) };
  } catch (error) {
    network.release(sandbox);
    throw error;
  }
};

/** Told of one network when a running container joins or leaves it. */
export const emitNetworkOf = (
  engine: Engine,
  record: ContainerRecord,
  networkId: string,
  action: "connect" | "disconnect",
): void => {
  const network = engine.deps.network.list().find(({ id }) => id === networkId);
  if (network === undefined) return;
  const { name, driver: type } = network;
  engine.deps.events.publish({
    Type: "network",
    Action: action,
    Actor: { ID: networkId, Attributes: { container: record.id, name, type } },
  });
};

const emitNetwork = (
  engine: Engine,
  record: ContainerRecord,
  action: "connect" | "disconnect",
): void => {
  for (const { NetworkID } of Object.values(record.endpoints)) {
    emitNetworkOf(engine, record, NetworkID, action);
  }
};

/** Told when the process runs, and when it has ended. */
export const emitConnected = (engine: Engine, record: ContainerRecord): void =>
  emitNetwork(engine, record, "connect");
export const emitDisconnected = (engine: Engine, record: ContainerRecord): void =>
  emitNetwork(engine, record, "disconnect");

export const releaseNetwork = async (engine: Engine, record: ContainerRecord): Promise<void> => {
  if (record.sandbox === undefined) return;
  await engine.deps.network.unpublish(record.id);
  engine.deps.network.release(record.sandbox);
};

/** The record's network fields after a stop: addresses gone, what was asked for kept. */
export const disconnected = (
  record: ContainerRecord,
): Pick<ContainerRecord, "endpoints" | "ports"> => {
  const endpoints = Object.fromEntries(
    Object.entries(record.endpoints).map(([name, endpoint]) => [
      name,
      {
        ...endpoint,
        EndpointID: "",
        Gateway: "",
        IPAddress: "",
        IPPrefixLen: 0,
        IPv6Gateway: "",
        GlobalIPv6Address: "",
        GlobalIPv6PrefixLen: 0,
        MacAddress: "",
      },
    ]),
  );
  return { endpoints, ports: {} };
};
