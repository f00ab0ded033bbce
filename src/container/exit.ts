/**
 * The end of a process: the record first (so that `wait` answers at once), then what it held. The
 * restart policy says what comes next. Runs inside the container's actor.
 */
import { parseInstant, sleep } from "#lib/clock.ts";
import { toNaruError } from "#lib/errors.ts";
import { failpoint } from "#lib/failpoint.ts";
import { removeDirectory } from "#lib/remove-directory.ts";
import { type ContainerRecord, isLive } from "#container/container.ts";
import type { Engine } from "#container/engine.ts";
import { countOomKills } from "#container/oom.ts";
import { removeRecord } from "#container/remove.ts";
import { withTrueCode } from "#container/never-ran.ts";
import { afterExit } from "#container/restart-policy.ts";
import { startContainer } from "#container/start.ts";
import { emitVolumes } from "#container/volume-events.ts";
import { disconnected, emitDisconnected, releaseNetwork } from "#container/start-network.ts";
import type { ExitNotice } from "#runtime/runtime.ts";

/** A client that reads slower than this does not hold the exit up. */
const DRAIN_TIMEOUT_MS = 2000;

const msBetween = (from: string, to: string): number =>
  Number((parseInstant(to) - parseInstant(from)) / 1_000_000n);

/** Mounts, bundle, runtime state and network of a process that has ended. Safe to run twice. */
export const releaseProcess = async (engine: Engine, record: ContainerRecord): Promise<void> => {
  const { deps } = engine;
  await releaseNetwork(engine, record);
  await engine.runtimeOf(record).delete(record.id);
  deps.snapshots.unmount(record.id);
  deps.volumes.releaseMounts(record.id);
  deps.kernel.unmount(`${engine.bundleOf(record.id)}/shm`);
  removeDirectory(engine.bundleOf(record.id));
};

/** The time of the exit file is that of the clock's last tick: up to ten milliseconds before the end, and maybe before the start. */
export const notBefore = (startedAt: string, notice: ExitNotice): ExitNotice =>
  parseInstant(notice.finishedAt) < parseInstant(startedAt)
    ? { ...notice, finishedAt: startedAt }
    : notice;

const endedState = (record: ContainerRecord, notice: ExitNotice, oomKills: number) => ({
  exitCode: notice.exitCode,
  startedAt: record.state.startedAt,
  finishedAt: notice.finishedAt,
  isOomKilled: oomKills > 0,
  error: "",
  ...("health" in record.state && record.state.health !== undefined
    ? { health: { ...record.state.health, Status: "unhealthy" as const } }
    : {}),
});

/** Waits out the back-off, then starts again unless somebody stopped or removed it meanwhile. */
const scheduleRestart = (engine: Engine, id: string, delayMs: number): void => {
  const abort = new AbortController();
  engine.restarts.set(id, { delayMs, abort });
  void sleep(delayMs, abort.signal)
    .then(() =>
      engine.actors.run(id, async () => {
        if (engine.states.find(id)?.state.status !== "restarting") return;
        await startContainer(engine, id, { isRestart: true });
        engine.onStarted(id);
      }),
    )
    .catch((error: unknown) => {
      if (abort.signal.aborted || engine.states.find(id) === undefined) return;
      onStartFailure(engine, id, error);
    });
};

/** A restart whose start failed counts as a run that failed at once. */
const onStartFailure = (engine: Engine, id: string, error: unknown): void => {
  engine.deps.log.warn("restart failed", { container: id, error: toNaruError(error).message });
  const record = engine.current(id);
  const next = afterExit(record.hostConfig.RestartPolicy, {
    exitCode: record.state.exitCode || 128,
    ranMs: 0,
    restartCount: record.restartCount,
    isStoppedByUser: record.isStoppedByUser,
    previousDelayMs: engine.restarts.get(id)?.delayMs ?? 0,
  });
  if (!next.restarts) return void engine.restarts.delete(id);
  engine.transition(id, {
    restartCount: record.restartCount + 1,
    state: { ...record.state, status: "restarting" },
  });
  scheduleRestart(engine, id, next.delayMs);
};

export const handleExit = async (engine: Engine, told: ExitNotice): Promise<void> => {
  const record = engine.states.find(told.id);
  if (record === undefined || !isLive(record.state)) return;
  const notice = withTrueCode(record, notBefore(record.state.startedAt, told));
  // Who waits for the exit has seen all output by then (Docker's order).
  await engine.stdio.drained(record.id, DRAIN_TIMEOUT_MS);
  // Nor is anybody led to an address that the next container may get.
  await engine.deps.network.unpublish(record.id);
  failpoint("exit.before-row");
  const oomKills = countOomKills(engine, record);
  const oomKillsTold = engine.oom.finish(record.id);
  const ended = endedState(record, notice, oomKills);
  const next = afterExit(record.hostConfig.RestartPolicy, {
    exitCode: notice.exitCode,
    ranMs: msBetween(record.state.startedAt, notice.finishedAt),
    restartCount: record.restartCount,
    isStoppedByUser: record.isStoppedByUser,
    previousDelayMs: engine.restarts.get(record.id)?.delayMs ?? 0,
  });
  engine.health.stop(record.id);
  engine.rotation.stop(record.id);
  engine.follow(record.id, "bring the log within its bounds", () =>
    engine.rotation.trim(engine, record),
  );
  engine.execs.onContainerExit(record.id);
  engine.deps.runtimes.get(record.hostConfig.Runtime)?.dropExecs(record.id);
  const { sandbox: _released, ...kept } = record;
  const stopped = engine.replace({
    ...kept,
    ...disconnected(record),
    state: next.restarts ? { status: "restarting", ...ended } : { status: "exited", ...ended },
  });
  failpoint("exit.after-row");
  if (oomKills > oomKillsTold) engine.emit(stopped, "oom");
  engine.emit(stopped, "die", { exitCode: String(notice.exitCode) });
  emitDisconnected(engine, record);
  emitVolumes(engine, record, "unmount");
  engine.waiters.onExit(stopped);
  engine.follow(record.id, "release what the process held", () => releaseProcess(engine, record));
  if (next.restarts) {
    scheduleRestart(engine, record.id, next.delayMs);
  } else if (record.hostConfig.AutoRemove && !engine.kept.has(record.id)) {
    await removeRecord(engine, stopped, { removesAnonymous: true });
  }
};
