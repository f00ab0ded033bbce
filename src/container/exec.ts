/** Further processes in a running container (docker exec, health checks). */
import { randomHex } from "#lib/clock.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { failpoint } from "#lib/failpoint.ts";
import { type LiveRecord, isLive } from "#container/container.ts";
import type { StdioSession } from "#container/containers.ts";
import { DetachScanner, parseDetachKeys } from "#container/detach-keys.ts";
import type { Engine } from "#container/engine.ts";
import { execProcessOf } from "#container/exec-process.ts";
import type { AttachedSession } from "#container/stdio-sessions.ts";
import { liveRootOf } from "#container/root.ts";
import { userOf } from "#container/start-config.ts";
import { explainExecFailure } from "#container/start-failure.ts";
import type { ExecCreateRequest, ExecInspectResponse } from "#spec/docker/container.ts";
import { unsaidFailure } from "#container/unsaid-failure.ts";
import type { ExecProcess } from "#runtime/runtime.ts";
import type { RuntimeProcess } from "#spec/runtime/config.ts";

interface Exec {
  readonly id: string;
  readonly containerId: string;
  readonly request: ExecCreateRequest;
  readonly isTty: boolean;
  process: ExecProcess | undefined;
  exitCode: number | null;
  isStarted: boolean;
}

/** Ended execs stay to be inspected until their container goes, at most this many per container. */
const ENDED_MAX_COUNT = 256;

export class Execs {
  readonly #byId = new Map<string, Exec>();

  add(exec: Exec): void {
    this.#byId.set(exec.id, exec);
    const ended = [...this.#byId.values()].filter(
      (other) => other.containerId === exec.containerId && other.exitCode !== null,
    );
    for (const old of ended.slice(0, Math.max(0, ended.length - ENDED_MAX_COUNT)))
      this.#byId.delete(old.id);
  }

  get(id: string): Exec {
    const exec = this.#byId.get(id);
    if (exec === undefined) throw new NaruError("not_found", `No such exec instance: ${id}`);
    return exec;
  }

  running(containerId: string): string[] {
    return [...this.#byId.values()].flatMap((exec) =>
      exec.containerId === containerId && exec.exitCode === null ? [exec.id] : [],
    );
  }

  onContainerExit(containerId: string): void {
    for (const exec of this.#byId.values()) {
      if (exec.containerId === containerId && !exec.isStarted) this.#byId.delete(exec.id);
    }
  }

  forget(containerId: string): void {
    for (const exec of this.#byId.values()) {
      if (exec.containerId === containerId) this.#byId.delete(exec.id);
    }
  }
}

const runningRecord = (engine: Engine, id: string): LiveRecord => {
  const record = engine.current(id);
  if (record.state.status === "paused") {
    throw new NaruError("conflict", `container ${id} is paused, unpause the container before exec`);
  }
  const { state } = record;
  if (!isLive(state)) throw new NaruError("conflict", `container ${id} is not running`);
  return { ...record, state };
};

/** Nothing but pipes between client and process: as far as the request tells. */
const isDirect = ({ Tty, Detach }: ExecCreateRequest): boolean => Tty !== true && Detach !== true;

/** A reused pid is never taken for the container's: what was loaded for it would join whatever has it now. */
const isSameProcess = (engine: Engine, { state }: LiveRecord): boolean =>
  String(engine.deps.kernel.startTime(state.process.pid)) === state.process.startTicks;

export const createExec = (
  engine: Engine,
  containerId: string,
  request: ExecCreateRequest,
): { Id: string } => {
  const record = runningRecord(engine, containerId);
  if ((request.Cmd?.length ?? 0) === 0)
    throw new NaruError("invalid_argument", "No exec command specified");
  parseDetachKeys(request.DetachKeys ?? "");
  // A user that is not there is told now, as an error, and not in the stream of the exec's output.
  if (request.User) userOf(engine, record, liveRootOf(engine, record), request.User);
  const id = randomHex(32);
  const isTty = request.Tty ?? false;
  engine.execs.add({
    id,
    containerId,
    request,
    isTty,
    process: undefined,
    exitCode: null,
    isStarted: false,
  });
  engine.emit(record, `exec_create: ${request.Cmd?.join(" ")}`, { execID: id });
  if (isDirect(request)) {
    engine.runtimeOf(record).prepareExec(containerId, { hasStdin: request.AttachStdin ?? false });
  }
  return { Id: id };
};

const withReason = (
  { deps }: Engine,
  { state }: LiveRecord,
  told: RuntimeProcess | undefined,
  thrown: unknown,
): NaruError => {
  const error = toNaruError(thrown);
  if (told === undefined || error.details["isUnsaid"] !== true) return error;
  const reason = unsaidFailure(deps.kernel, `/proc/${state.process.pid}/root`, told);
  return reason === undefined ? error : new NaruError(error.code, reason, { cause: error });
};

/** Runs the process; the promise of its end is on the returned value. */
export const launchExec = async (
  engine: Engine,
  exec: Exec,
  options: { readonly isDetached: boolean; readonly consoleSize?: [number, number] },
): Promise<ExecProcess> => {
  const record = runningRecord(engine, exec.containerId);
  if (!isSameProcess(engine, record)) engine.runtimeOf(record).dropExecs(record.id);
  exec.isStarted = true;
  let told: RuntimeProcess | undefined;
  try {
    told = execProcessOf(engine, record, exec.request, options.consoleSize);
    const process = await engine.runtimeOf(record).exec({
      id: record.id,
      execId: exec.id,
      process: JSON.stringify(told),
      isTty: exec.isTty,
      hasStdin: exec.request.AttachStdin ?? false,
      isDetached: options.isDetached,
      explain: (text) => {
        const cause = new NaruError("failed_precondition", text.trim());
        const { error, exitCode } = explainExecFailure(cause, exec.request.Cmd?.[0] ?? "");
        return { message: error.message, exitCode };
      },
    });
    exec.process = process;
    failpoint("exec.after-start");
    void process.exited.then(
      (code) => onEnd(engine, exec, code),
      () => onEnd(engine, exec, -1),
    );
    return process;
  } catch (error) {
    const failure = explainExecFailure(
      withReason(engine, record, told, error),
      exec.request.Cmd?.[0] ?? "",
    );
    exec.exitCode = failure.exitCode;
    throw failure.error;
  }
};

const onEnd = (engine: Engine, exec: Exec, code: number): void => {
  exec.exitCode = code;
  const record = engine.states.find(exec.containerId);
  if (record !== undefined)
    engine.emit(record, "exec_die", { execID: exec.id, exitCode: String(code) });
};

export const startExecSession = async (
  engine: Engine,
  execId: string,
  options: { detach: boolean; tty: boolean; consoleSize?: [number, number] },
): Promise<StdioSession | undefined> => {
  const exec = engine.execs.get(execId);
  const details = { isStartedBefore: true };
  if (exec.exitCode !== null)
    throw new NaruError("conflict", `exec ${execId} has already run`, { details });
  if (exec.isStarted)
    throw new NaruError("conflict", `exec ${execId} is already running`, { details });
  const record = runningRecord(engine, exec.containerId);
  const process = await launchExec(engine, exec, {
    isDetached: options.detach,
    ...(options.consoleSize === undefined ? {} : { consoleSize: options.consoleSize }),
  });
  engine.emit(record, `exec_start: ${exec.request.Cmd?.join(" ")}`, { execID: execId });
  if (!options.detach && !exec.isTty) prepareNext(engine, exec, process);
  if (options.detach || process.stdio === undefined) return undefined;
  const keys = parseDetachKeys(exec.request.DetachKeys ?? "");
  const session = engine.stdio.openConnected(process.stdio, {
    isTty: exec.isTty,
    stdin: exec.request.AttachStdin ?? false,
    stdout: exec.request.AttachStdout ?? true,
    stderr: exec.request.AttachStderr ?? true,
    replay: undefined,
    detach: exec.isTty ? new DetachScanner(keys) : undefined,
    onDetach: () => engine.emit(record, "exec_detach", { execID: execId }),
  });
  return { ...bound(session), output: untilEnded(session, process) };
};

/** Who runs one process after the other finds the next one loaded. */
const prepareNext = (engine: Engine, exec: Exec, process: ExecProcess): void => {
  const { containerId } = exec;
  const runtime = engine.runtimeOf(engine.current(containerId));
  const hasStdin = exec.request.AttachStdin ?? false;
  const after = (): boolean => engine.states.find(containerId)?.state.status === "running";
  const prepare = (): void => runtime.prepareExec(containerId, { hasStdin, after });
  void process.exited.then(prepare, prepare);
};

const bound = (session: StdioSession): Omit<StdioSession, "output"> => ({
  isTty: session.isTty,
  writeStdin: (bytes) => session.writeStdin(bytes),
  closeStdin: () => session.closeStdin(),
  close: () => session.close(),
});

/** The client inspects the exit code right after the last output: it must be known by then. */
async function* untilEnded(
  session: AttachedSession,
  process: ExecProcess,
): AsyncGenerator<{ stream: 1 | 2; bytes: Uint8Array }> {
  yield* session.output;
  // On detach the process lives on: its end is not waited for.
  if (!session.isDetached()) await process.exited.catch(() => undefined);
}

export const inspectExec = (engine: Engine, execId: string): ExecInspectResponse => {
  const exec = engine.execs.get(execId);
  const { request } = exec;
  const [entrypoint = "", ...args] = request.Cmd ?? [];
  return {
    ID: exec.id,
    Running: exec.isStarted && exec.exitCode === null,
    ExitCode: exec.exitCode,
    ProcessConfig: {
      tty: exec.isTty,
      entrypoint,
      arguments: args,
      privileged: request.Privileged ?? false,
      ...(request.User ? { user: request.User } : {}),
    },
    OpenStdin: request.AttachStdin ?? false,
    OpenStderr: request.AttachStderr ?? false,
    OpenStdout: request.AttachStdout ?? false,
    CanRemove: exec.exitCode !== null,
    ContainerID: exec.containerId,
    DetachKeys: request.DetachKeys ?? "",
    Pid: exec.process?.pid() ?? 0,
  };
};

export const resizeExec = (
  engine: Engine,
  execId: string,
  size: { height: number; width: number },
): void => {
  const exec = engine.execs.get(execId);
  if (exec.process === undefined || exec.exitCode !== null) {
    throw new NaruError("conflict", `exec ${execId} is not running`);
  }
  exec.process.resize(size);
};
