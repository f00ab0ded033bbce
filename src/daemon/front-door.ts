/** The front door over the rooms: which containers it is told of, and when. Off unless asked for. */
import { existsSync } from "node:fs";
import { type ContainerRecord, isLive } from "#container/container.ts";
import type { DaemonConfig } from "#daemon/config.ts";
import type { Rooms } from "#daemon/rooms.ts";
import { buildOfProgram, workerCommand } from "#daemon/worker-command.ts";
import type { DoorReport, FrontDoor } from "#door/front-door.ts";
import type { DoorContainer } from "#door/routes.ts";
import { NaruError } from "#lib/errors.ts";
import type { Logger } from "#lib/log.ts";

type DoorRooms = Pick<Rooms, "containers" | "events">;

export interface RunningDoor {
  /** Throws failed_precondition where it is off. */
  report(): Promise<DoorReport>;
  stop(): void;
}

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

const containersOf = ({ containers }: DoorRooms): DoorContainer[] => {
  const records = containers.list();
  const byId = new Map(records.map((record) => [record.id, record]));
  return records.map(describe((id) => byId.get(id)));
};

const holderOf = ({ containers }: DoorRooms, port: number): string | undefined => {
  const holder = containers
    .list()
    .find(
      (record) =>
        isLive(record.state) &&
        Object.values(record.ports).some((bindings) =>
          (bindings ?? []).some(({ HostPort }) => Number(HostPort) === port),
        ),
    );
  return holder && `container "${holder.name}" publishes it`;
};

const follow = async (
  { events }: DoorRooms,
  door: FrontDoor,
  signal: AbortSignal,
): Promise<void> => {
  for await (const event of events.stream({ signal })) {
    if (event.Type === "container" || event.Type === "network") door.refresh();
  }
};

const OFF: RunningDoor = {
  report: () =>
    Promise.reject(
      new NaruError(
        "failed_precondition",
        'the front door is off: start the daemon with --front-door, or put "front-door": true into its config file',
      ),
    ),
  stop: () => undefined,
};

export const startFrontDoor = async (
  { frontDoor: config, execRoot }: DaemonConfig,
  rooms: DoorRooms,
  log: Logger,
): Promise<RunningDoor> => {
  if (config === undefined) {
    // An earlier daemon may have left it on.
    if (existsSync(`${execRoot}/door.sock`)) {
      const { endFrontDoor } = await import("#door/front-door.ts");
      await endFrontDoor(execRoot, log);
    }
    return OFF;
  }
  const { FrontDoor: Made } = await import("#door/front-door.ts");
  const door = new Made({
    config,
    command: [...workerCommand(), "front-door"],
    build: buildOfProgram(),
    execRoot,
    containers: () => containersOf(rooms),
    holderOf: (port) => holderOf(rooms, port),
    log,
  });
  const stop = new AbortController();
  follow(rooms, door, stop.signal).catch((error: unknown) => {
    if (!stop.signal.aborted) log.error("the front door is not told", { error: String(error) });
  });
  door.start();
  return {
    report: () => door.report(),
    stop: () => {
      stop.abort();
      door.stop();
    },
  };
};
