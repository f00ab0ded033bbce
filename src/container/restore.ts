/**
 * The daemon starts: rows against what the host really has. Running containers are taken over,
 * exits that happened meanwhile are told with their true code and time, half-made things go, and the
 * restart policies say what to start.
 */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { removeDirectory } from "#lib/remove-directory.ts";
import { type ContainerRecord, isLive } from "#container/container.ts";
import type { Engine } from "#container/engine.ts";
import { handleExit, releaseProcess } from "#container/exit.ts";
import { endLost } from "#container/monitor-loss.ts";
import { removeRecord } from "#container/remove.ts";
import { resumeHeld } from "#container/stand-still.ts";
import { startsWithDaemon } from "#container/restart-policy.ts";
import type { RestoreEntry } from "#network/network.ts";
import { startContainer } from "#container/start.ts";
import type { ExitNotice } from "#runtime/runtime.ts";

const SIGKILL = 9;

const isRunning = (engine: Engine, record: ContainerRecord): boolean => {
  if (!isLive(record.state)) return false;
  const ticks = engine.deps.kernel.startTime(record.state.process.pid);
  return ticks !== undefined && String(ticks) === record.state.process.startTicks;
};

/** What /proc says of a process; "" when it has gone, which it may do at any moment. */
const procText = (pid: number, name: "comm" | "cmdline"): string => {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return "";
  }
};

/** A conmon that was still making its container when the daemon died must not finish now. */
const killMaker = (engine: Engine, bundle: string, id: string): void => {
  const path = `${bundle}/conmon.pid`;
  if (!existsSync(path)) return;
  const pid = Number(readFileSync(path, "utf8"));
  if (pid > 0 && procText(pid, "cmdline").includes(id)) engine.deps.kernel.kill(pid, SIGKILL);
};

/** What a start that was cut short left of a container that does not run. */
const sweepStopped = async (engine: Engine, record: ContainerRecord): Promise<void> => {
  const bundle = engine.bundleOf(record.id);
  if (existsSync(bundle)) {
    killMaker(engine, bundle, record.id);
    const { sandbox: _none, ...without } = record;
    await releaseProcess(engine, without);
  }
  engine.deps.snapshots.unmount(record.id);
  if (record.state.status === "restarting") {
    engine.transition(record.id, { state: { ...record.state, status: "exited" } });
  }
};

const namesIn = (directory: string): string[] =>
  existsSync(directory) ? readdirSync(directory) : [];

/** Directories, snapshots and processes whose rows are gone or were never written. */
const sweepOrphans = async (engine: Engine): Promise<void> => {
  const { deps } = engine;
  const isKnown = (id: string): boolean => engine.states.find(id) !== undefined;
  for (const id of namesIn(deps.paths.bundles).filter((name) => !isKnown(name))) {
    killMaker(engine, engine.bundleOf(id), id);
    for (const runtime of deps.runtimes.values()) await runtime.delete(id);
    deps.volumes.releaseMounts(id);
    for (const mount of deps.kernel.mountsUnder(engine.bundleOf(id))) deps.kernel.unmount(mount);
    removeDirectory(engine.bundleOf(id));
  }
  const isKept = (id: string): boolean => isKnown(id) || deps.trash.has("container", id);
  for (const { id } of deps.snapshots.actives()) {
    if (!/^[0-9a-f]{64}$/.test(id) || isKnown(id)) continue;
    if (isKept(id)) deps.snapshots.unmount(id);
    else deps.snapshots.remove(id);
  }
  for (const id of namesIn(deps.paths.containers).filter((name) => !isKept(name))) {
    await deps.volumes.forget(id, [], true);
    removeDirectory(engine.directoryOf(id));
  }
};

const healthOf = ({ state }: ContainerRecord): Pick<RestoreEntry, "health"> => {
  const status = isLive(state) ? state.health?.Status : undefined;
  return status === undefined || status === "none" ? {} : { health: status };
};

const restoreNetwork = async (engine: Engine, live: readonly ContainerRecord[]): Promise<void> => {
  const entries = live.flatMap((record) =>
    record.sandbox === undefined
      ? []
      : [
          {
            containerId: record.id,
            containerName: record.name,
            sandbox: record.sandbox,
            ports: record.ports,
            ...healthOf(record),
          },
        ],
  );
  const result = await engine.deps.network.restore(entries);
  for (const id of result.lost)
    engine.deps.log.warn("network namespace is gone", { container: id });
  for (const { containerId, error } of result.unpublished) {
    engine.deps.log.error("could not publish ports again", {
      container: containerId,
      error: String(error),
    });
  }
};

const startAgain = async (engine: Engine, record: ContainerRecord): Promise<void> => {
  try {
    await engine.actors.run(record.id, () => startContainer(engine, record.id));
    engine.onStarted(record.id);
  } catch (error) {
    engine.deps.log.error("could not start with the daemon", {
      container: record.id,
      error: String(error),
    });
  }
};

/** A conmon whose container has just ended is about to write how: only one that is gone has said all it will say. */
const LAST_WORD_MS = 2000;

/** How a container ended while no daemon looked. */
const pastExitOf = async (
  engine: Engine,
  record: ContainerRecord,
): Promise<ExitNotice | undefined> => {
  if (!isLive(record.state)) return undefined;
  const look = () => engine.runtimeOf(record).pastExit(record.id);
  const past = look();
  if (past !== undefined || isRunning(engine, record)) return past;
  const { conmonPid } = record.state.process;
  // Not another program that has its number now.
  if (procText(conmonPid, "comm") !== "conmon\n") return look();
  try {
    await engine.deps.kernel.waitForEnd(conmonPid, AbortSignal.timeout(LAST_WORD_MS));
  } catch (error) {
    engine.deps.log.warn("conmon goes on without its container", {
      container: record.id,
      conmonPid,
      error: String(error),
    });
  }
  return look();
};

/** Resolves when requests may be served; restarts by policy go on after that. */
export const restoreContainers = async (engine: Engine): Promise<void> => {
  const before = engine.states.list();
  const wasRunning = new Set(
    before
      .filter((record) => isLive(record.state) || record.state.status === "restarting")
      .map((r) => r.id),
  );
  await restoreNetwork(
    engine,
    before.filter((record) => isLive(record.state)),
  );
  for (const record of before) {
    engine.deps.volumes.adopt(record.id, record.mounts, isLive(record.state));
    const past = await pastExitOf(engine, record);
    if (past !== undefined) await engine.actors.run(record.id, () => handleExit(engine, past));
    else if (isRunning(engine, record)) engine.onStarted(record.id);
    else if (isLive(record.state))
      await engine.actors.run(record.id, () => endLost(engine, record));
    else if (record.hostConfig.AutoRemove && record.state.status === "exited") {
      await removeRecord(engine, record, { removesAnonymous: true });
    } else await sweepStopped(engine, record);
  }
  await resumeHeld(engine);
  await sweepOrphans(engine);
  for (const { id } of before) {
    const record = engine.states.find(id);
    if (record === undefined || isLive(record.state) || record.state.status === "restarting")
      continue;
    const should = startsWithDaemon(record.hostConfig.RestartPolicy, {
      isStoppedByUser: record.isStoppedByUser,
      wasRunning: wasRunning.has(id),
      exitCode: record.state.exitCode,
    });
    if (should && record.state.status !== "created") void startAgain(engine, record);
  }
};
