/** Networks of a container that exists: joined and left, while it runs too. Runs inside the actor. */
import { NaruError, hasCode } from "#lib/errors.ts";
import { failpoint } from "#lib/failpoint.ts";
import { type ContainerRecord, isLive } from "#container/container.ts";
import { writeNetworkFiles } from "#container/container-files.ts";
import type { Engine } from "#container/engine.ts";
import { askedEndpoint, isUserDefined, parseNetworkMode } from "#container/network-mode.ts";
import {
  checkEndpoint,
  emitNetworkOf,
  endpointNames,
  filledEndpoints,
  orderOf,
  publishPorts,
} from "#container/start-network.ts";
import { gatewayEndpoint } from "#network/gateway.ts";
import type { Sandbox } from "#network/network.ts";
import type { PortMap } from "#spec/docker/host-config.ts";
import type { EndpointSettings } from "#spec/docker/network.ts";

const refuse = (message: string): never => {
  throw new NaruError("invalid_argument", message);
};

const assertConnectable = (record: ContainerRecord, network: string): void => {
  const { status } = record.state;
  if (status === "removing" || status === "dead") {
    throw new NaruError(
      "conflict",
      `Container ${record.id} is marked for removal and cannot be connected or disconnected to the network`,
    );
  }
  const mode = parseNetworkMode(record.hostConfig.NetworkMode).kind;
  if (network === "host") {
    refuse(
      "cannot connect container to host network - container must be created in host network mode",
    );
  }
  if (mode === "container" || mode === "host") {
    refuse(
      "container sharing network namespace with another container or host cannot be connected to any other network",
    );
  }
  if (network in record.endpoints && isLive(record.state)) {
    throw new NaruError(
      "permission_denied",
      `endpoint with name ${record.name} already exists in network ${network}`,
    );
  }
  const others = Object.keys(record.endpoints).filter((name) => name !== network);
  if (others.includes("none") || (network === "none" && others.length > 0)) {
    refuse(
      "container cannot be connected to multiple networks with one of the networks in private (none) mode",
    );
  }
};

/** The ports follow the default route: they are led anew only when it goes elsewhere. */
const movedPorts = async (
  engine: Engine,
  record: ContainerRecord,
  before: Sandbox,
  after: Sandbox,
): Promise<PortMap> => {
  const target = gatewayEndpoint(after.endpoints);
  if (gatewayEndpoint(before.endpoints)?.endpointId === target?.endpointId) return record.ports;
  if (target === undefined) {
    await engine.deps.network.unpublish(record.id);
    return {};
  }
  return await publishPorts(engine, record, after, record.ports);
};

const connectLive = async (
  engine: Engine,
  record: ContainerRecord,
  name: string,
  asked: EndpointSettings,
): Promise<void> => {
  const { network } = engine.deps;
  const { sandbox } = record;
  if (sandbox === undefined) return refuse("container has no network of its own");
  const wired = await network.connect(sandbox, orderOf(record, name, asked));
  await using undo = new AsyncDisposableStack();
  const { id } = network.get(name);
  undo.defer(async () => void (await network.disconnect(wired, id)));
  failpoint("connect.after-wire");
  const ports = await movedPorts(engine, record, sandbox, wired);
  const endpoints = filledEndpoints(
    engine,
    { ...record.endpoints, [name]: asked },
    wired.endpoints,
  );
  const changes = { sandbox: wired, endpoints, ports, ...macsOf(record, name, asked) };
  writeNetworkFiles(engine, { ...record, ...changes });
  engine.transition(record.id, changes);
  undo.move();
  emitNetworkOf(engine, record, id, "connect");
};

const macsOf = (record: ContainerRecord, name: string, asked: EndpointSettings) =>
  asked.MacAddress === "" ? {} : { askedMacs: { ...record.askedMacs, [name]: asked.MacAddress } };

export const connectContainer = async (
  engine: Engine,
  id: string,
  nameOrId: string,
  settings: Partial<EndpointSettings> | null | undefined,
): Promise<void> => {
  const record = engine.current(id);
  const { name, id: networkId } = engine.deps.network.get(nameOrId);
  assertConnectable(record, name);
  const asked = askedEndpoint(name, settings);
  const withMac = { ...record, ...macsOf(record, name, asked) };
  checkEndpoint(engine, withMac, name, asked);
  if (isLive(record.state)) return await connectLive(engine, withMac, name, asked);
  const names = endpointNames(record, name, asked.Aliases);
  const endpoint = { ...asked, NetworkID: networkId };
  engine.transition(id, {
    ...macsOf(record, name, asked),
    endpoints: {
      ...record.endpoints,
      [name]: { ...endpoint, DNSNames: isUserDefined(name) ? names : null },
    },
  });
};

/** The name under which the record has the network; the network itself may be gone by now. */
const endpointKey = (engine: Engine, record: ContainerRecord, nameOrId: string): string => {
  let name = nameOrId;
  try {
    ({ name } = engine.deps.network.get(nameOrId));
  } catch (error) {
    if (!hasCode(error, "not_found") || !(nameOrId in record.endpoints)) throw error;
  }
  if (name in record.endpoints) return name;
  throw new NaruError("not_found", `container ${record.id} is not connected to network ${name}`);
};

export const disconnectContainer = async (
  engine: Engine,
  id: string,
  nameOrId: string,
): Promise<void> => {
  const record = engine.current(id);
  const name = endpointKey(engine, record, nameOrId);
  if (record.hostConfig.NetworkMode === "host") {
    refuse(
      "cannot disconnect container from host network - container was created in host network mode",
    );
  }
  const { [name]: left, ...rest } = record.endpoints;
  const { sandbox } = record;
  if (!isLive(record.state) || sandbox === undefined || left === undefined) {
    engine.transition(id, { endpoints: rest });
    return;
  }
  const remaining = await engine.deps.network.disconnect(sandbox, left.NetworkID);
  const ports = await movedPorts(engine, record, sandbox, remaining);
  const changes = { sandbox: remaining, endpoints: rest, ports };
  writeNetworkFiles(engine, { ...record, ...changes });
  engine.transition(id, changes);
  emitNetworkOf(engine, record, left.NetworkID, "disconnect");
};
