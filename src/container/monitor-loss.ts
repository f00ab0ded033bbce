/**
 * conmon itself may be killed. Its container would run on with nobody to read its output or learn
 * its exit code: naru ends it, says so in State.Error, and lets the restart policy bring it back.
 */
import { now, sleep } from "#lib/clock.ts";
import { type ContainerRecord, isLive } from "#container/container.ts";
import type { Engine } from "#container/engine.ts";
import { handleExit } from "#container/exit.ts";

/** conmon writes the exit file just before it ends; the file system may show it a moment later. */
const GRACE_MS = 200;
const LOST_EXIT_CODE = 137;

/** Reports an exit that no file will ever tell. Runs inside the actor. */
export const endLost = async (engine: Engine, record: ContainerRecord): Promise<void> => {
  if (!isLive(record.state)) return;
  const { pid, startTicks } = record.state.process;
  const isSame = String(engine.deps.kernel.startTime(pid) ?? "") === startTicks;
  if (isSame) {
    engine.deps.kernel.kill(pid, 9);
    await engine.deps.kernel.waitForEnd(pid, AbortSignal.timeout(10_000));
  }
  const exitCode = isSame ? LOST_EXIT_CODE : 255;
  await handleExit(engine, { id: record.id, exitCode, finishedAt: now() });
  const ended = engine.states.find(record.id);
  if (ended === undefined) return;
  const error = isSame
    ? "the container's monitor process (conmon) was killed, so the container was ended"
    : "the container's process is gone (was the host rebooted?): its exit code is not known";
  engine.transition(record.id, { state: { ...ended.state, error } as ContainerRecord["state"] });
};

export const watchMonitor = (engine: Engine, record: ContainerRecord): void => {
  if (!isLive(record.state)) return;
  const { conmonPid, pid } = record.state.process;
  const check = async (): Promise<void> => {
    await engine.deps.kernel.waitForEnd(conmonPid, engine.closing.signal);
    if (engine.closing.signal.aborted) return;
    if (engine.runtimeOf(record).pastExit(record.id) === undefined) {
      await sleep(GRACE_MS, engine.closing.signal);
    }
    await engine.actors.run(record.id, async () => {
      const current = engine.states.find(record.id);
      if (current === undefined || !isLive(current.state)) return;
      if (current.state.process.pid !== pid) return;
      const past = engine.runtimeOf(record).pastExit(record.id);
      // Most often the exit was told long ago; this is the second way for it to be heard.
      if (past !== undefined) return handleExit(engine, past);
      engine.deps.log.warn("conmon was killed", { container: record.id, conmonPid });
      await endLost(engine, current);
    });
  };
  void check().catch((error: unknown) => {
    if (!engine.closing.signal.aborted) {
      engine.deps.log.error("could not watch conmon", {
        container: record.id,
        error: String(error),
      });
    }
  });
};
