/** The front door over the rooms: which containers it is told of, and when. Off unless asked for. */
import { existsSync } from "node:fs";
import { isLive } from "#container/container.ts";
import { containersOf } from "#daemon/door-containers.ts";
import type { DaemonConfig } from "#daemon/config.ts";
import type { Rooms } from "#daemon/rooms.ts";
import { buildOfProgram, companionCommand } from "#daemon/worker-command.ts";
import type { DoorReport, FrontDoor } from "#door/front-door.ts";
import { NaruError } from "#lib/errors.ts";
import type { Logger } from "#lib/log.ts";

type DoorRooms = Pick<Rooms, "containers" | "events">;

export interface RunningDoor {
  /** Throws failed_precondition where it is off. */
  report(): Promise<DoorReport>;
  stop(): void;
}

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
    command: [...companionCommand(), "front-door"],
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
