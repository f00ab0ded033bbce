/** A container's log, read from what conmon wrote. */
import { NaruError } from "#lib/errors.ts";
import { type ContainerRecord, isLive } from "#container/container.ts";
import type { LogLine, LogsOptions } from "#container/containers.ts";
import type { Engine } from "#container/engine.ts";
import { readLog } from "#log/read.ts";

/** Resolves when the container does not run: nothing more will be written. */
const writingEnds = async (
  engine: Engine,
  record: ContainerRecord,
  signal: AbortSignal,
): Promise<void> => {
  if (!isLive(record.state)) return;
  await engine.waiters.wait(record, "next-exit", signal).catch(() => undefined);
};

export const readLogs = (
  engine: Engine,
  record: ContainerRecord,
  options: LogsOptions,
): AsyncIterable<LogLine> =>
  readLog({
    ...options,
    path: record.logPath,
    closed: writingEnds(engine, record, options.signal),
  });

async function* following(
  engine: Engine,
  record: ContainerRecord,
  options: LogsOptions,
): AsyncGenerator<LogLine> {
  using _followed = engine.rotation.follow(record.id);
  yield* readLogs(engine, record, options);
}

export const logsOf = (
  engine: Engine,
  id: string,
  options: LogsOptions,
): AsyncIterable<LogLine> => {
  const record = engine.current(id);
  if (record.hostConfig.LogConfig.Type === "none") {
    throw new NaruError("not_implemented", "configured logging driver does not support reading");
  }
  return options.follow ? following(engine, record, options) : readLogs(engine, record, options);
};
