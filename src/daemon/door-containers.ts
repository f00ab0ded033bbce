/** Containers as the front door and the host's names look at them. */
import { type ContainerRecord, isLive } from "#container/container.ts";
import type { Rooms } from "#daemon/rooms.ts";
import type { DoorContainer } from "#door/routes.ts";

const LOOPBACK = "127.0.0.1";

/** Where this machine reaches it. With "container:X" it is X who has the address. */
const addressOf = (
  record: ContainerRecord,
  find: (id: string) => ContainerRecord | undefined,
): string | undefined => {
  const mode = record.hostConfig.NetworkMode;
  if (mode === "host") return LOOPBACK;
  const other = mode.startsWith("container:") ? find(mode.slice("container:".length)) : undefined;
  const endpoints = (other ?? record).sandbox?.endpoints ?? [];
  // On the wire of another interface this machine does not see it.
  return endpoints.find(({ linkName, ip }) => linkName !== "" && ip !== "")?.ip;
};

const portsOf = ({ config, ports }: ContainerRecord): number[] =>
  Object.keys({ ...config.ExposedPorts, ...ports })
    .filter((port) => !/\/(?!tcp$)/.test(port))
    .map((port) => Number(port.split("/")[0]));

const statusOf = ({ state }: ContainerRecord): string =>
  state.status === "exited" ? `exited (${state.exitCode})` : state.status;

const describe =
  (find: (id: string) => ContainerRecord | undefined) =>
  (record: ContainerRecord): DoorContainer => ({
    name: record.name,
    labels: record.config.Labels ?? {},
    status: statusOf(record),
    // A paused one takes connections and never answers.
    isRunning: record.state.status === "running",
    health: (isLive(record.state) ? record.state.health?.Status : undefined) ?? "none",
    ip: addressOf(record, find),
    ports: portsOf(record),
  });

export const containersOf = ({ containers }: Pick<Rooms, "containers">): DoorContainer[] => {
  const records = containers.list();
  const byId = new Map(records.map((record) => [record.id, record]));
  return records.map(describe((id) => byId.get(id)));
};
