/**
 * Ending a container's process. `stop` sends its signal inside the actor and waits outside, so that
 * `kill` gets in during the grace period.
 */
import { NaruError } from "#lib/errors.ts";
import { failpoint } from "#lib/failpoint.ts";
import { sleep } from "#lib/clock.ts";
import { type ContainerRecord, isLive } from "#container/container.ts";
import type { Engine } from "#container/engine.ts";
import { signalNumber } from "#spec/docker/signals.ts";

const DEFAULT_TIMEOUT_SECONDS = 10;
const SIGKILL = 9;
/** After SIGKILL the kernel ends a process within this, unless it hangs in a driver. */
const KILL_TIMEOUT_MS = 10_000;

export interface StopOptions {
  readonly signal?: string;
  readonly timeoutSeconds?: number;
}

/** Resolves true when the process ended within `timeoutMs` (undefined = no limit). */
export const endsWithin = async (
  engine: Engine,
  record: ContainerRecord,
  timeoutMs: number | undefined,
): Promise<boolean> => {
  const stop = new AbortController();
  const ended = engine.waiters.wait(record, "next-exit", stop.signal).then(
    () => true,
    () => false,
  );
  if (!isLive(engine.states.find(record.id)?.state ?? ({ status: "exited" } as never))) {
    stop.abort();
    return true;
  }
  if (timeoutMs === undefined) return ended;
  const timer = sleep(timeoutMs, stop.signal).then(
    () => false,
    () => false,
  );
  const isEnded = await Promise.race([ended, timer]);
  stop.abort();
  return isEnded;
};

/** Frozen processes get no signals: what is paused goes on with it, as under Docker. */
const sendSignal = async (
  engine: Engine,
  record: ContainerRecord,
  signal: number,
): Promise<void> => {
  const { state } = record;
  if (!isLive(state)) return;
  engine.deps.kernel.kill(state.process.pid, signal);
  if (state.status !== "paused") return;
  await engine.deps.cgroups.thaw(engine.cgroupOf(record));
  if (signal === SIGKILL) return;
  engine.emit(engine.transition(record.id, { state: { ...state, status: "running" } }), "unpause");
};

/** Takes a waiting restart back; true when there was one. */
const cancelRestart = (engine: Engine, record: ContainerRecord): boolean => {
  if (record.state.status !== "restarting") return false;
  engine.restarts.get(record.id)?.abort.abort();
  engine.restarts.delete(record.id);
  engine.transition(record.id, {
    isStoppedByUser: true,
    state: { ...record.state, status: "exited" },
  });
  return true;
};

/** Resolves true when the container was running. */
export const stopContainer = async (
  engine: Engine,
  id: string,
  options: StopOptions,
): Promise<boolean> => {
  const signal = options.signal ? signalNumber(options.signal) : undefined;
  const signaled = await engine.actors.run(id, async () => {
    const record = engine.current(id);
    if (cancelRestart(engine, record)) return undefined;
    if (!isLive(record.state)) return undefined;
    if (record.state.status === "paused") await engine.deps.cgroups.thaw(engine.cgroupOf(record));
    const marked = engine.transition(id, { isStoppedByUser: true });
    const number = signal ?? signalNumber(record.config.StopSignal ?? "SIGTERM");
    const ended = endsWithin(engine, marked, timeoutMsOf(marked, options));
    await sendSignal(engine, marked, number);
    engine.emit(marked, "kill", { signal: String(number) });
    failpoint("stop.after-signal");
    return { marked, ended };
  });
  if (signaled === undefined) return false;
  if (!(await signaled.ended)) await forceEnd(engine, id);
  const stopped = engine.states.find(id) ?? signaled.marked;
  engine.emit(stopped, "stop");
  return true;
};

const timeoutMsOf = (record: ContainerRecord, options: StopOptions): number | undefined => {
  const seconds = options.timeoutSeconds ?? record.config.StopTimeout ?? DEFAULT_TIMEOUT_SECONDS;
  return seconds < 0 ? undefined : seconds * 1000;
};

/** SIGKILL, and the process is gone when this resolves. */
export const forceEnd = async (engine: Engine, id: string): Promise<void> => {
  const record = engine.states.find(id);
  if (record === undefined || !isLive(record.state)) return;
  const ended = endsWithin(engine, record, KILL_TIMEOUT_MS);
  await sendSignal(engine, record, SIGKILL);
  engine.emit(record, "kill", { signal: String(SIGKILL) });
  if (await ended) return;
  throw new NaruError(
    "deadline_exceeded",
    `container "${record.name}" did not end after SIGKILL: process ${record.state.process.pid} hangs in the kernel (see /proc/${record.state.process.pid}/stack)`,
  );
};

export const killContainer = async (
  engine: Engine,
  id: string,
  signalText: string,
): Promise<void> => {
  const signal = signalNumber(signalText === "" ? "KILL" : signalText);
  const ended = await engine.actors.run(id, async () => {
    const record = engine.current(id);
    if (!isLive(record.state)) {
      throw new NaruError("conflict", `container ${id} is not running`);
    }
    const isStop =
      signal === SIGKILL || signal === signalNumber(record.config.StopSignal ?? "SIGTERM");
    const marked = isStop ? engine.transition(id, { isStoppedByUser: true }) : record;
    const end = signal === SIGKILL ? endsWithin(engine, marked, KILL_TIMEOUT_MS) : undefined;
    await sendSignal(engine, marked, signal);
    engine.emit(marked, "kill", { signal: String(signal) });
    return { end };
  });
  await ended.end;
};
