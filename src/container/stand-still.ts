/**
 * Containers that stand still while something of theirs is copied. A file in the container's directory says
 * so from before the freeze until after the thaw: a daemon that was killed meanwhile lets them go on at its start.
 */
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { hasCode } from "#lib/errors.ts";
import type { Engine } from "#container/engine.ts";
import { pauseContainer, unpauseContainer } from "#container/pause.ts";

const markerOf = (engine: Engine, id: string): string => `${engine.directoryOf(id)}/held`;

const thaw = async (engine: Engine, id: string): Promise<void> => {
  if (engine.states.find(id)?.state.status === "paused") {
    try {
      await unpauseContainer(engine, id);
    } catch (error) {
      // It ended, or somebody let it go on: that is all that was wanted.
      if (!hasCode(error, "conflict") && !hasCode(error, "not_found")) throw error;
    }
  }
  rmSync(markerOf(engine, id), { force: true });
};

const release = async (engine: Engine, id: string): Promise<void> => {
  const rest = (engine.holds.get(id) ?? 1) - 1;
  if (rest > 0) {
    engine.holds.set(id, rest);
    return;
  }
  engine.holds.delete(id);
  await thaw(engine, id);
};

/** False when there is nothing to hold: it does not run, or stands still by its user's will. */
const hold = async (engine: Engine, id: string): Promise<boolean> => {
  const holds = engine.holds.get(id) ?? 0;
  if (holds === 0 && engine.states.find(id)?.state.status !== "running") return false;
  engine.holds.set(id, holds + 1);
  try {
    writeFileSync(markerOf(engine, id), "");
    // Those that come second wait in the container's queue until it stands still.
    await pauseContainer(engine, id);
  } catch (error) {
    const status = engine.states.find(id)?.state.status;
    if (hasCode(error, "conflict") && status === "paused") return true;
    await release(engine, id);
    if (hasCode(error, "conflict") || hasCode(error, "not_found")) return false;
    throw error;
  }
  return true;
};

/** See `ContainerService.whilePaused`. */
export const whilePaused = async <T>(
  engine: Engine,
  ids: readonly string[],
  work: () => Promise<T>,
): Promise<T> => {
  await using undo = new AsyncDisposableStack();
  for (const id of ids) {
    // oxlint-disable-next-line no-await-in-loop -- one freeze is quick, and a failed one undoes those before
    if (await hold(engine, id)) undo.defer(() => release(engine, id));
  }
  return await work();
};

/** The daemon starts: whom its predecessor held goes on. */
export const resumeHeld = async (engine: Engine): Promise<void> => {
  for (const { id } of engine.states.list()) {
    // oxlint-disable-next-line no-await-in-loop -- rarely more than one
    if (existsSync(markerOf(engine, id))) await thaw(engine, id);
  }
};
