/** `restart`: one command, whose end in between is not the container's. */
import { isLive } from "#container/container.ts";
import type { Engine } from "#container/engine.ts";
import { type StopOptions, stopContainer } from "#container/stop.ts";

const stopAndStart = async (
  engine: Engine,
  id: string,
  options: StopOptions,
  start: () => Promise<void>,
): Promise<void> => {
  // A restart is no end: --rm does not hold for it.
  engine.kept.add(id);
  try {
    await stopContainer(engine, id, options);
  } finally {
    engine.kept.delete(id);
  }
  await start();
  engine.emit(engine.current(id), "restart");
};

export const restartContainer = async (
  engine: Engine,
  id: string,
  options: StopOptions,
  start: () => Promise<void>,
): Promise<void> => {
  const restarted = stopAndStart(engine, id, options, start);
  const over = restarted.catch(() => undefined);
  engine.restarting.set(id, over);
  try {
    await restarted;
  } finally {
    if (engine.restarting.get(id) === over) engine.restarting.delete(id);
  }
};

/** Of a container between the two halves of a restart. */
export const restartUnderway = (engine: Engine, container: string): Promise<void> | undefined => {
  if (engine.restarting.size === 0) return undefined;
  const { id, state } = engine.states.get(container);
  return isLive(state) ? undefined : engine.restarting.get(id);
};
