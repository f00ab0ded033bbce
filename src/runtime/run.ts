/**
 * A process that is run to its end with nobody but this daemon watching: a build's step. No monitor, no
 * log file; output goes by pipes. Should the daemon die, `sweepRuns` of the next one ends what is left.
 */
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import type { ProcessKernel } from "#kernel/kernel.ts";
import { runCommand } from "#runtime/command.ts";
import type { Libraries } from "#runtime/lean-libraries.ts";
import { type RemoveCgroup, removeLeftCgroup } from "#runtime/leftover-cgroup.ts";
import type { RunRequest, RunStdio } from "#runtime/runtime.ts";

const SIGKILL = 9;
const COMPLAINT_MAX_BYTES = 4096;

export interface RunPaths {
  readonly runtime: string;
  /** The runtime's state of such processes, apart from containers'. */
  readonly runs: string;
  readonly libraries: Libraries;
}

const deleteRun = async (paths: RunPaths, id: string): Promise<void> => {
  const { code, stderr } = await runCommand(paths, [
    `--root=${paths.runs}`,
    "delete",
    "--force",
    id,
  ]);
  if (code === 0 || /does not exist|not found|No such file/i.test(stderr)) return;
  throw new NaruError("internal", `could not delete the runtime state of "${id}": ${stderr}`);
};

const pump = async (
  source: ReadableStream<Uint8Array>,
  take: (bytes: Uint8Array) => void | Promise<void>,
): Promise<void> => {
  for await (const bytes of source) await take(bytes);
};

/** Standard input and output as a connection. Writes go out one after the other, at the process's pace. */
const stdioOf = (input: Bun.FileSink, output: ReadableStream<Uint8Array>): RunStdio => {
  let tail: Promise<void> = Promise.resolve();
  let isEnded = false;
  const send = async (before: Promise<void>, bytes: Uint8Array): Promise<void> => {
    await before;
    await input.write(bytes);
    await input.flush();
  };
  return {
    output,
    write: (bytes) => {
      tail = send(tail, bytes);
      tail.catch(() => undefined); // Told to its own sender.
      return tail;
    },
    end: () => {
      if (isEnded) return;
      isEnded = true;
      const close = async (): Promise<void> => void (await input.end());
      // The process may be gone: there is nobody left to tell of an end.
      tail.then(close, close).catch(() => undefined);
    },
  };
};

/** What the runtime itself said; undefined when it had nothing to complain of. */
const complaintOf = (log: string): string | undefined => {
  if (!existsSync(log)) return undefined;
  const lines = readFileSync(log, "utf8").trim().split("\n").slice(-20);
  const messages = lines.flatMap((line) => {
    try {
      const { level, msg } = JSON.parse(line) as { level?: string; msg?: string };
      return level === "error" || level === "fatal" ? [msg ?? ""] : [];
    } catch {
      return [];
    }
  });
  return messages.length === 0 ? undefined : messages.join("; ").slice(0, COMPLAINT_MAX_BYTES);
};

const killRun = (kernel: ProcessKernel, pidFile: string, runtimePid: number): void => {
  const pid = existsSync(pidFile) ? Number(readFileSync(pidFile, "utf8")) : 0;
  // The first process of its namespace takes all others with it; without one the runtime is still at work.
  if (pid > 0) kernel.kill(pid, SIGKILL);
  else kernel.kill(runtimePid, SIGKILL);
};

/** See `Runtime.run`. */
export const runToEnd = async (
  kernel: ProcessKernel,
  paths: RunPaths,
  request: RunRequest,
  removeCgroup: RemoveCgroup,
): Promise<number> => {
  const { id, bundle, signal } = request;
  signal.throwIfAborted();
  writeFileSync(`${bundle}/config.json`, request.config, { mode: 0o600 });
  const log = `${bundle}/runtime.log`;
  const pidFile = `${bundle}/pid`;
  const child = Bun.spawn({
    cmd: [
      paths.runtime,
      `--root=${paths.runs}`,
      `--log=${log}`,
      "--log-format=json",
      "run",
      `--bundle=${bundle}`,
      `--pid-file=${pidFile}`,
      id,
    ],
    env: paths.libraries.env(),
    stdin: request.onConnected === undefined ? "ignore" : "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  const stdio = child.stdin === undefined ? undefined : stdioOf(child.stdin, child.stdout);
  const kill = (): void => killRun(kernel, pidFile, child.pid);
  signal.addEventListener("abort", kill, { once: true });
  let isDeleted = true;
  try {
    if (stdio !== undefined) request.onConnected?.(stdio);
    const [code] = await Promise.all([
      child.exited,
      stdio === undefined ? pump(child.stdout, (bytes) => request.onOutput(1, bytes)) : undefined,
      pump(child.stderr, (bytes) => request.onOutput(2, bytes)),
    ]);
    isDeleted = !signal.aborted;
    signal.throwIfAborted();
    const complaint = complaintOf(log);
    if (complaint !== undefined && code !== 0) {
      isDeleted = false;
      throw new NaruError("failed_precondition", complaint, { details: { exitCode: code } });
    }
    return code;
  } catch (error) {
    if (child.exitCode === null) {
      kill();
      await child.exited;
      isDeleted = false;
    }
    throw error;
  } finally {
    signal.removeEventListener("abort", kill);
    if (!isDeleted) {
      await deleteRun(paths, id);
      await removeLeftCgroup(removeCgroup, request.config);
    }
  }
};

/** What a killed daemon left running. */
export const sweepRuns = async (paths: RunPaths): Promise<void> => {
  for (const id of readdirSync(paths.runs)) {
    await deleteRun(paths, id);
    rmSync(`${paths.runs}/${id}`, { recursive: true, force: true });
  }
};
