/** A container's log, read from what conmon wrote. */
import { NaruError } from "#lib/errors.ts";
import { type ContainerRecord, isLive } from "#container/container.ts";
import type { LogLine, LogsOptions } from "#container/containers.ts";
import type { Engine } from "#container/engine.ts";
import type { LogReadOptions } from "#log/log.ts";
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

/** While they are read the log is not cut: what cuts it comes after its last reader, or has been waited for. */
async function* uncut(
  engine: Engine,
  record: ContainerRecord,
  options: LogReadOptions,
): AsyncGenerator<LogLine> {
  using _read = engine.rotation.follow(record.id);
  if (!isLive(record.state)) await engine.followed(record.id);
  yield* readLog(options);
}

export const readLogs = (
  engine: Engine,
  record: ContainerRecord,
  options: LogsOptions,
): AsyncGenerator<LogLine> =>
  uncut(engine, record, {
    ...options,
    path: record.logPath,
    closed: writingEnds(engine, record, options.signal),
  });

export const logsOf = (
  engine: Engine,
  id: string,
  options: LogsOptions,
): AsyncIterable<LogLine> => {
  const record = engine.current(id);
  if (record.hostConfig.LogConfig.Type === "none") {
    throw new NaruError("not_implemented", "configured logging driver does not support reading");
  }
  return readLogs(engine, record, options);
};
