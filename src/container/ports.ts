/** Published ports of a container that exists: more of them or fewer, while it runs too. */
import { NaruError } from "#lib/errors.ts";
import { failpoint } from "#lib/failpoint.ts";
import { type ContainerRecord, isLive } from "#container/container.ts";
import type { Engine } from "#container/engine.ts";
import { parseNetworkMode } from "#container/network-mode.ts";
import { gatewayEndpoint } from "#network/gateway.ts";
import type { PortBinding, PortMap } from "#spec/docker/host-config.ts";
import type { PortChange } from "#spec/docker/port-reach.ts";
import { formatPort, parsePort, parsePortMap } from "#spec/docker/ports.ts";

const canonical = (map: PortMap): PortMap =>
  Object.fromEntries(
    Object.entries(map).map(([key, bindings]) => [formatPort(parsePort(key)), bindings ?? []]),
  );

const matches = (binding: PortBinding, wanted: PortBinding): boolean =>
  (wanted.HostPort === "" || wanted.HostPort === binding.HostPort) &&
  ((wanted.HostIp ?? "") === "" || wanted.HostIp === binding.HostIp);

/** Pure. Ports that are left without a binding go; with `isStrict` nothing to remove is an error. */
export const withoutPorts = (ports: PortMap, remove: PortMap, isStrict: boolean): PortMap => {
  const left: PortMap = { ...ports };
  for (const [key, wanted] of Object.entries(canonical(remove))) {
    const bindings = left[key] ?? [];
    const all = wanted ?? [];
    const kept =
      all.length === 0
        ? []
        : bindings.filter((binding) => !all.some((one) => matches(binding, one)));
    if (isStrict && kept.length === bindings.length) {
      throw new NaruError(
        "not_found",
        `port "${key}" is not published so: name a port of the container, or HOST_PORT:PORT, that it publishes`,
      );
    }
    if (kept.length === 0) delete left[key];
    else left[key] = kept;
  }
  return left;
};

const withPorts = (ports: PortMap, add: PortMap): PortMap => {
  const more: PortMap = { ...ports };
  for (const [key, bindings] of Object.entries(canonical(add))) {
    const wanted = bindings?.length ? bindings : [{ HostIp: "", HostPort: "" }];
    more[key] = [...(more[key] ?? []), ...wanted];
  }
  return more;
};

const published = (ports: PortMap): PortMap =>
  Object.fromEntries(Object.entries(ports).filter(([, bindings]) => (bindings ?? []).length > 0));

/** Leads the running container's ports as `ports` says; on a refusal they stay as they were. */
const publishAnew = async (
  engine: Engine,
  record: ContainerRecord,
  ports: PortMap,
): Promise<PortMap> => {
  const { network } = engine.deps;
  const { sandbox } = record;
  if (sandbox === undefined || gatewayEndpoint(sandbox.endpoints) === undefined) {
    throw new NaruError(
      "failed_precondition",
      `container "${record.name}" has no network that ports could be published from`,
    );
  }
  const order = { containerId: record.id, containerName: record.name, sandbox };
  try {
    return await network.publish({ ...order, ports });
  } catch (error) {
    const before = published(record.ports);
    if (Object.keys(before).length > 0) await network.publish({ ...order, ports: before });
    throw error;
  }
};

/**
 * Changes what is published, for this run and those to come; gives the ports as they are then (as asked
 * while it does not run). Runs inside the actor.
 */
export const changePorts = async (
  engine: Engine,
  id: string,
  change: PortChange,
): Promise<PortMap> => {
  const record = engine.current(id);
  const { Add = {}, Remove = {} } = change;
  parsePortMap(Add);
  const mode = parseNetworkMode(record.hostConfig.NetworkMode).kind;
  if (mode === "host" || mode === "container" || "none" in record.endpoints) {
    throw new NaruError(
      "invalid_argument",
      `container "${record.name}" has no ports of its own: its network mode is "${record.hostConfig.NetworkMode}"`,
    );
  }
  const isRunning = isLive(record.state);
  const wishes = record.hostConfig.PortBindings;
  // While it runs, what is there counts: free ports were chosen, and -P added some.
  const current = isRunning ? published(record.ports) : wishes;
  const wanted = withPorts(withoutPorts(current, Remove, true), Add);
  const PortBindings = withPorts(withoutPorts(wishes, Remove, false), Add);
  const changes = { hostConfig: { ...record.hostConfig, PortBindings } };
  if (!isRunning) {
    engine.transition(id, changes);
    return PortBindings;
  }
  const realized = await publishAnew(engine, record, wanted);
  failpoint("ports.after-publish");
  const exposed = Object.keys(record.ports).map((key) => [key, null] as const);
  const ports = { ...Object.fromEntries(exposed), ...realized };
  engine.transition(id, { ...changes, ports });
  engine.emit(engine.current(id), "update");
  return realized;
};
