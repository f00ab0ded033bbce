/**
 * The rooms come up: built, compared with the host, and handed to the API. Loaded when the sockets are open already:
 * this is most of the program.
 */
import type { DockerBackend } from "#api/docker/backend.ts";
import { isLive } from "#container/container.ts";
import { dockerBackend } from "#daemon/backend.ts";
import { startDiskBudget } from "#daemon/disk-budget.ts";
import { startFrontDoor } from "#daemon/front-door.ts";
import { startHostNames } from "#daemon/host-names.ts";
import { hurryMark } from "#daemon/hurry-mark.ts";
import { keepInMemory } from "#daemon/in-memory.ts";
import { type Rooms, buildRooms } from "#daemon/rooms.ts";
import type { Running } from "#daemon/running.ts";
import { findTools } from "#daemon/tools.ts";
import type { Kernel } from "#kernel/kernel.ts";
import { FairTurn } from "#lib/fair-turn.ts";

export interface RoomStart {
  readonly running: Running;
  readonly kernel: Kernel;
  readonly instance: string;
  /** Takes what must be put away at the end. */
  readonly cleanup: AsyncDisposableStack;
}

export interface Opened {
  readonly rooms: Rooms;
  readonly backend: DockerBackend;
}

/** The rooms compare what they know with the host; requests wait for that, all but pings. */
const startRooms = async (rooms: Rooms): Promise<void> => {
  const turn = new FairTurn();
  await turn.yield();
  await rooms.images.restore();
  await turn.yield();
  await rooms.network.start();
  await turn.yield();
  await rooms.volumes.start();
  await rooms.sweepBuilds();
  await rooms.containers.restore();
  rooms.volumes.settle();
  await turn.yield();
};

/** What it returns is what requests need. */
export const bringUp = async ({
  running,
  kernel,
  instance,
  cleanup,
}: RoomStart): Promise<Opened> => {
  const { config, log } = running;
  const tools = findTools(config.runtimes, config.defaultRuntime);
  const memory = keepInMemory(kernel, config.execRoot, log.with({ room: "runtime" }));
  const hurries = cleanup.use(hurryMark(config.execRoot));
  const onHurry = (): void => hurries.make();
  const rooms = buildRooms({ config, instance, kernel, tools, log, onHurry });
  cleanup.defer(() => rooms.database.close());
  cleanup.defer(() => rooms.events.flush());
  await startRooms(rooms);
  // Only now is known who lives: a start that failed leaves the mounts to the next one.
  cleanup.defer(() => {
    if (!rooms.containers.list().some(({ state }) => isLive(state))) memory.leave();
  });
  cleanup.defer(() => rooms.network.stop());
  cleanup.defer(() => rooms.containers.close());
  cleanup.defer(rooms.startSweeps());
  cleanup.defer(startDiskBudget(config, rooms, log.with({ room: "gc" })));
  const door = await startFrontDoor(config, rooms, log.with({ room: "door" }));
  cleanup.defer(() => door.stop());
  cleanup.defer(startHostNames(config, rooms, log.with({ room: "network" })));
  const backend = dockerBackend(rooms, {
    config: () => running.config,
    tools,
    instance,
    frontDoor: () => door.report(),
    log,
  });
  return { rooms, backend };
};
