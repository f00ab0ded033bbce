/** POST attach: a client on the stdio of a container that runs or will run. */
import { NaruError, hasCode } from "#lib/errors.ts";
import { type ContainerRecord, isLive } from "#container/container.ts";
import type { AttachOptions, OutputChunk, StdioSession } from "#container/containers.ts";
import { DetachScanner, parseDetachKeys } from "#container/detach-keys.ts";
import type { Engine } from "#container/engine.ts";
import { readLogs } from "#container/logs.ts";
import type { Stdio } from "#runtime/runtime.ts";
import { endsWithin } from "#container/stop.ts";

/** From the moment in which a container's monitor closes to the one in which its end is known. */
const ENDING_MS = 10_000;

async function* replayOf(
  engine: Engine,
  id: string,
  options: AttachOptions,
): AsyncGenerator<OutputChunk> {
  const { stdout, stderr } = options;
  const lines = readLogs(engine, engine.current(id), {
    stdout,
    stderr,
    follow: false,
    signal: new AbortController().signal,
  });
  for await (const line of lines) yield { stream: line.stream, bytes: line.bytes };
}

/** `undefined`: its end had begun, and is told by now. */
const liveStdio = async (engine: Engine, record: ContainerRecord): Promise<Stdio | undefined> => {
  try {
    return engine.runtimeOf(record).attach(record.id);
  } catch (error) {
    if (!hasCode(error, "unavailable")) throw error;
    if (await endsWithin(engine, record, ENDING_MS)) return undefined;
    throw error;
  }
};

export const attachContainer = async (
  engine: Engine,
  id: string,
  options: AttachOptions,
): Promise<StdioSession> => {
  const record = engine.current(id);
  if (record.state.status === "paused") {
    throw new NaruError(
      "conflict",
      `container ${id} is paused, unpause the container before attach`,
    );
  }
  if (record.state.status === "restarting") {
    throw new NaruError(
      "conflict",
      `container ${id} is restarting, wait until the container is running`,
    );
  }
  const keys = parseDetachKeys(options.detachKeys);
  const isTty = record.config.Tty;
  const sessionOptions = {
    isTty,
    stdin: options.stdin && record.config.OpenStdin,
    stdout: options.stdout,
    stderr: options.stderr,
    replay: options.logs && record.logPath !== "" ? replayOf(engine, id, options) : undefined,
    detach: isTty ? new DetachScanner(keys) : undefined,
    onDetach: () => engine.emit(engine.states.find(id) ?? record, "detach"),
  };
  engine.emit(record, "attach");
  if (!options.stream) {
    // Only what was written so far: a session whose process never comes.
    const session = engine.stdio.openConnected(undefined, sessionOptions);
    return session;
  }
  if (!isLive(record.state)) return engine.stdio.open(id, sessionOptions);
  const stdio = await liveStdio(engine, record);
  return stdio === undefined
    ? engine.stdio.openConnected(undefined, sessionOptions)
    : engine.stdio.join(id, stdio, sessionOptions);
};
