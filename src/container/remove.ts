/** DELETE /containers/{id}: the row goes first, the bytes follow the answer. */
import { NaruError } from "#lib/errors.ts";
import { failpoint } from "#lib/failpoint.ts";
import { removeDirectory } from "#lib/remove-directory.ts";
import { type ContainerRecord, isLive } from "#container/container.ts";
import type { Engine } from "#container/engine.ts";
import { moveToTrash } from "#container/removed.ts";
import { dropReady } from "#container/ready.ts";
import { forceEnd } from "#container/stop.ts";
import { newBatch } from "#metadata/trash.ts";

/**
 * Takes the container out of sight; its name is free when this returns. Runs inside the actor. With `batch` it can be
 * brought back, where the trash is on.
 */
export const removeRecord = async (
  engine: Engine,
  record: ContainerRecord,
  options: { readonly removesAnonymous: boolean; readonly batch?: string },
): Promise<void> => {
  const { deps } = engine;
  const batch = deps.trash.isOn ? options.batch : undefined;
  failpoint("remove.before-row");
  if (batch === undefined) engine.states.delete(record.id);
  else moveToTrash(engine, record, batch);
  failpoint("remove.after-row");
  dropReady(engine, record.id);
  engine.stdio.abandon(record.id);
  engine.health.stop(record.id);
  engine.oom.finish(record.id);
  engine.execs.forget(record.id);
  engine.restarts.delete(record.id);
  await deps.volumes.forget(record.id, record.mounts, options.removesAnonymous, batch);
  engine.emit(record, "destroy");
  engine.follow(record.id, "remove the container's files", async () => {
    if (batch !== undefined) {
      deps.snapshots.unmount(record.id);
      return;
    }
    deps.snapshots.remove(record.id);
    failpoint("remove.after-snapshot");
    removeDirectory(engine.directoryOf(record.id));
  });
  engine.waiters.onRemoved(record);
};

const refuseRunning = (record: ContainerRecord): never => {
  const state =
    record.state.status === "paused"
      ? "paused"
      : record.state.status === "restarting"
        ? "restarting"
        : "running";
  const remedy =
    state === "paused"
      ? "unpause and then stop the container before removing or force remove"
      : "stop the container before removing or force remove";
  throw new NaruError(
    "conflict",
    `cannot remove container "${record.name}": container is ${state}: ${remedy}`,
  );
};

/** No restart policy starts it from now on. Tells whether it runs. */
const holdDown = (engine: Engine, id: string): Promise<boolean> =>
  engine.actors.run(id, async () => {
    if (engine.states.find(id) === undefined) return false;
    engine.restarts.get(id)?.abort.abort();
    return isLive(engine.transition(id, { isStoppedByUser: true }).state);
  });

export const removeContainer = async (
  engine: Engine,
  id: string,
  options: { readonly force: boolean; readonly volumes: boolean; readonly batch?: string },
): Promise<void> => {
  const record = engine.current(id);
  const isUp = isLive(record.state) || record.state.status === "restarting";
  if (isUp && !options.force) refuseRunning(record);
  // A start by its restart policy may have been under way: what it made is ended too.
  if (isUp && (await holdDown(engine, id))) await forceEnd(engine, id);
  await engine.actors.run(id, async () => {
    const current = engine.states.find(id);
    if (current === undefined) return; // --rm was faster
    if (isLive(current.state)) refuseRunning(current);
    engine.restarts.get(id)?.abort.abort();
    // What was to vanish with its end anyway is nobody's loss.
    const batch = current.hostConfig.AutoRemove ? undefined : (options.batch ?? newBatch());
    await removeRecord(engine, current, {
      removesAnonymous: options.volumes,
      ...(batch === undefined ? {} : { batch }),
    });
  });
};
