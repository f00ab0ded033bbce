/** A container's network at start and at its end: sandbox, published ports, endpoint for inspect. */
import type { ContainerRecord } from "#container/container.ts";
import type { Engine } from "#container/engine.ts";
import { parseNetworkMode } from "#container/network-mode.ts";
import { publishAllPorts } from "#spec/docker/ports.ts";
import type { Sandbox } from "#network/network.ts";
import type { PortMap } from "#spec/docker/host-config.ts";
import type { EndpointSettings } from "#spec/docker/network.ts";

/** What the user asked of the endpoint stays; what the start gave is laid over it. */
const mergeEndpoint = (
  asked: EndpointSettings | undefined,
  given: EndpointSettings,
): EndpointSettings => ({
  ...given,
  IPAMConfig: asked?.IPAMConfig ?? null,
  Aliases: asked?.Aliases ?? null,
  DriverOpts: asked?.DriverOpts ?? null,
});

const unnamedEndpoint = (engine: Engine, network: string, asked: EndpointSettings | undefined) => {
  const record = engine.deps.network.get(network);
  return asked === undefined ? {} : { [network]: { ...asked, NetworkID: record.id } };
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
  const name = mode.kind === "named" ? mode.network : mode.kind;
  network.get(name);
  const mac = record.config.MacAddress || record.endpoints[name]?.MacAddress;
  const sandbox: Sandbox = await network.acquire({
    containerId: record.id,
    mode: mode.kind === "none" || record.config.NetworkDisabled === true ? "none" : "bridge",
    ...(mac ? { mac } : {}),
  });
  try {
    const endpoints = {
      [name]: mergeEndpoint(record.endpoints[name], network.endpointSettings(sandbox)),
    };
    if (sandbox.mode === "none") return { sandbox, endpoints, ports: {} };
    const { PortBindings, PublishAllPorts } = record.hostConfig;
    const exposed = record.config.ExposedPorts ?? {};
    const wanted: PortMap = {
      ...Object.fromEntries(Object.keys(exposed).map((port) => [port, null])),
      ...(PublishAllPorts ? publishAllPorts(exposed, PortBindings) : PortBindings),
    };
    const order = { containerId: record.id, containerName: record.name, sandbox, ports: wanted };
    const hasPorts = Object.values(wanted).some((bindings) => (bindings?.length ?? 0) > 0);
    const ports = hasPorts ? await network.publish(order) : wanted;
    return { sandbox, endpoints, ports };
  } catch (error) {
    network.release(sandbox);
    throw error;
  }
};

const emitNetwork = (
  engine: Engine,
  record: ContainerRecord,
  action: "connect" | "disconnect",
): void => {
  for (const [name, endpoint] of Object.entries(record.endpoints)) {
    if (endpoint.NetworkID === "") continue;
    const type = engine.deps.network.get(endpoint.NetworkID).driver;
    engine.deps.events.publish({
      Type: "network",
      Action: action,
      Actor: { ID: endpoint.NetworkID, Attributes: { container: record.id, name, type } },
    });
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
      { ...endpoint, EndpointID: "", Gateway: "", IPAddress: "", IPPrefixLen: 0, MacAddress: "" },
    ]),
  );
  return { endpoints, ports: {} };
};
