/** Freezing and thawing all processes of a container by its cgroup. */
import { NaruError } from "#lib/errors.ts";
import type { Engine } from "#container/engine.ts";

export const pauseContainer = (engine: Engine, id: string): Promise<void> =>
  engine.actors.run(id, async () => {
    const record = engine.current(id);
    const { state } = record;
    if (state.status === "paused")
      throw new NaruError("conflict", `Container ${id} is already paused`);
    if (state.status === "restarting") {
      throw new NaruError(
        "conflict",
        `Container ${id} is restarting, wait until the container is running`,
      );
    }
    if (state.status !== "running")
      throw new NaruError("conflict", `Container ${id} is not running`);
    await engine.deps.cgroups.freeze(engine.cgroupOf(record));
    engine.emit(engine.transition(id, { state: { ...state, status: "paused" } }), "pause");
  });

export const unpauseContainer = (engine: Engine, id: string): Promise<void> =>
  engine.actors.run(id, async () => {
    const record = engine.current(id);
    const { state } = record;
    if (state.status !== "paused") throw new NaruError("conflict", `Container ${id} is not paused`);
    await engine.deps.cgroups.thaw(engine.cgroupOf(record));
    engine.emit(engine.transition(id, { state: { ...state, status: "running" } }), "unpause");
  });
