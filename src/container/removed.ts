/** Containers that were removed and can be brought back: the record in the trash, the writable layer and the logs kept. */
import { NaruError } from "#lib/errors.ts";
import { failpoint } from "#lib/failpoint.ts";
import { removeDirectory } from "#lib/remove-directory.ts";
import type { ContainerRecord } from "#container/container.ts";
import { writtenBytes } from "#container/archive.ts";
import type { Engine } from "#container/engine.ts";
import type { TrashRow, TrashSource } from "#metadata/trash.ts";

/** In place of deleting its row. Runs inside the actor, when nothing of it runs. */
export const moveToTrash = (engine: Engine, record: ContainerRecord, batch: string): void => {
  const { sandbox: _none, ...kept } = record;
  const row = { batch, kind: "container", key: record.id, name: record.name } as const;
  engine.deps.trash.transaction(() => {
    engine.deps.trash.put({ ...row, record: JSON.stringify({ ...kept, ports: {} }) });
    engine.states.delete(record.id);
  });
};

const undo = async (engine: Engine, row: TrashRow): Promise<void> => {
  const { deps, states } = engine;
  const record = JSON.parse(row.record) as ContainerRecord;
  await engine.followed(record.id);
  if (deps.snapshots.active(record.id) === undefined) {
    throw new NaruError("data_loss", `the files of container "${row.name}" are gone`);
  }
  using _name = states.reserveName(record.name, record.id);
  // Only what stands still can be removed; a record that says more was written by a death on the way.
  const { exitCode, startedAt, finishedAt, isOomKilled, error } = record.state;
  const status = record.state.status === "created" ? "created" : "exited";
  const state = { status, exitCode, startedAt, finishedAt, isOomKilled, error } as const;
  deps.trash.transaction(() => {
    states.put({ ...record, state });
    deps.trash.delete(row.id);
  });
  failpoint("undo.after-row");
  deps.volumes.adopt(record.id, record.mounts, false);
  engine.emit(engine.current(record.id), "create");
};

const purge = async (engine: Engine, row: TrashRow): Promise<void> => {
  engine.deps.trash.delete(row.id);
  if (engine.states.find(row.key) !== undefined) return;
  engine.deps.snapshots.remove(row.key);
  removeDirectory(engine.directoryOf(row.key));
};

export const removedContainers = (engine: Engine): TrashSource => ({
  kind: "container",
  undo: (row) => engine.actors.run(row.key, () => undo(engine, row)),
  purge: (row) => engine.actors.run(row.key, () => purge(engine, row)),
  sizeBytes: (row) => writtenBytes(engine, row.key),
});
