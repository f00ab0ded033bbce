/** Starting conmon and hearing from it over its sync pipe (conmon(8), "_OCI_SYNCPIPE"). */
import { closeSync, readSync, writeSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import type { PipeEnds, SocketKernel } from "#kernel/kernel.ts";
import { untilReadable } from "#kernel/readiness.ts";
import type { Libraries } from "#runtime/lean-libraries.ts";

export interface ConmonPaths {
  readonly conmon: string;
  readonly runtime: string;
  /** The runtime's own state directory. */
  readonly state: string;
  readonly exits: string;
  readonly sockets: string;
  readonly libraries: Libraries;
}

export interface ConmonRequest {
  readonly id: string;
  readonly bundle: string;
  readonly logPath: string | undefined;
  readonly isTty: boolean;
  readonly hasStdin: boolean;
  readonly keepsStdinOpen: boolean;
  /** Name under the sockets' directory; conmon makes it a link to the bundle, where "attach" is. */
  readonly socketName: string;
  /** Path of the OCI process JSON: an exec instead of a create. */
  readonly execProcess?: string;
  /** A program with arguments that runs the runtime. */
  readonly precededBy?: readonly string[];
}

const READ_LIMIT = 64 * 1024;

const argumentsOf = (paths: ConmonPaths, request: ConmonRequest): string[] => {
  const [program, ...runtimeArguments] = [
    ...(request.precededBy ?? []),
    paths.runtime,
    `--root=${paths.state}`,
  ];
  const list = [
    paths.conmon,
    "--api-version",
    "1",
    "-c",
    request.id,
    "-u",
    request.socketName,
    "-n",
    request.id,
    "-r",
    program,
    ...runtimeArguments.flatMap((argument) => ["--runtime-arg", argument]),
    "-b",
    request.bundle,
    "-p",
    `${request.bundle}/pidfile`,
    "-P",
    `${request.bundle}/conmon.pid`,
    "-l",
    request.logPath === undefined ? "none" : `k8s-file:${request.logPath}`,
    "--exit-dir",
    request.execProcess === undefined ? paths.exits : request.bundle,
    "--socket-dir-path",
    paths.sockets,
    "--log-level",
    "error",
    // Logs are fsynced by nobody in Docker either; syncing costs milliseconds per exit.
    "--no-sync-log",
  ];
  if (request.isTty) list.push("-t");
  if (request.hasStdin) list.push("-i");
  if (request.keepsStdinOpen) list.push("--leave-stdin-open");
  return list;
};

/**
 * Reads lines, one a call; at the end what is left. Several may come in one read: an exec that is over
 * soon has told its pid and its exit code before anybody looked.
 */
export const lineReader = (fd: number): (() => Promise<string>) => {
  const decoder = new TextDecoder();
  let rest = "";
  return async () => {
    for (;;) {
      const end = rest.indexOf("\n") + 1;
      if (end > 0 || rest.length > READ_LIMIT) {
        const line = end > 0 ? rest.slice(0, end) : rest;
        rest = rest.slice(line.length);
        return line;
      }
      // Not by a read of the runtime's own: each would hold one of its few threads, for as long as an exec runs.
      // oxlint-disable-next-line no-await-in-loop -- one piece after the other
      await untilReadable(fd);
      const buffer = Buffer.allocUnsafe(4096);
      const count = readSync(fd, buffer);
      if (count === 0) {
        const last = rest;
        rest = "";
        return last;
      }
      rest += decoder.decode(buffer.subarray(0, count), { stream: true });
    }
  };
};

interface SyncMessage {
  readonly data?: number;
  readonly pid?: number;
  readonly message?: string;
}

const parseSync = (text: string): SyncMessage => {
  try {
    return JSON.parse(text) as SyncMessage;
  } catch {
    // Nothing on the pipe: conmon said what is wrong on stderr.
    return text === "" ? { data: -1 } : { data: -1, message: text };
  }
};

/** conmon's messages after the first one, e.g. the exit code of an exec. */
export interface ConmonHandle {
  /** The first number conmon sends: the pid of a created container, or of an exec's process. */
  readonly number: number;
  /** Exec only: the exit code, told at the end. */
  readonly exited: Promise<number>;
}

interface Pipes {
  readonly sync: PipeEnds;
  readonly start?: PipeEnds | undefined;
  readonly attach?: PipeEnds | undefined;
}

const failureOf = async (
  answer: SyncMessage,
  number: number,
  stderr: ReadableStream | undefined,
): Promise<NaruError> => {
  const said = stderr === undefined ? "" : await new Response(stderr).text();
  const message = answer.message ?? (said || "conmon ended without a word");
  const isUnsaid = answer.message === undefined && said === "";
  return new NaruError("failed_precondition", message.trim(), { details: { number, isUnsaid } });
};

/**
 * conmon's first word on its sync pipe: a pid. A negative number means that the runtime failed: its
 * message is thrown as failed_precondition with `details.number` (the runtime's exit status, negated) and
 * `details.isUnsaid` where there was none.
 */
export const readNumber = async (
  nextLine: () => Promise<string>,
  stderr?: ReadableStream,
): Promise<number> => {
  const answer = parseSync(await nextLine());
  const number = answer.data ?? answer.pid ?? -1;
  if (number < 0) throw await failureOf(answer, number, stderr);
  return number;
};

/** The first process of conmon: it forks the monitor, writes the monitor's pid file and ends. */
export const spawnConmon = (paths: ConmonPaths, request: ConmonRequest, pipes: Pipes) => {
  const cmd = argumentsOf(paths, request);
  const env: Record<string, string> = { ...paths.libraries.env(), _OCI_SYNCPIPE: "3" };
  const extra: number[] = [pipes.sync.writeFd];
  if (request.execProcess !== undefined)
    cmd.push("--exec", "--exec-process-spec", request.execProcess);
  if (pipes.start !== undefined) {
    env["_OCI_STARTPIPE"] = "4";
    extra.push(pipes.start.readFd);
  }
  if (pipes.attach !== undefined) {
    cmd.push("--exec-attach");
    env["_OCI_ATTACHPIPE"] = "5";
    extra.push(pipes.attach.writeFd);
  }
  try {
    return Bun.spawn({
      cmd,
      env,
      cwd: request.bundle,
      stdio: ["ignore", "ignore", "pipe", ...extra],
    });
  } catch (cause) {
    const message = `could not run conmon at "${paths.conmon}": install the package conmon`;
    throw new NaruError("unavailable", message, { cause });
  }
};

export interface ConmonHooks {
  /** Starts the process in surroundings of the caller's, such as a mount namespace. */
  readonly around?: (<T>(spawn: () => T) => T) | undefined;
  /** What the runtime will need; done while conmon loads, which waits for it (its start pipe). */
  readonly prepare?: () => Promise<void>;
  /** Execs: called when the attach socket is there and the process waits for it. */
  readonly onAttachable?: () => void;
}

/**
 * Runs conmon until it has told the pid; fails as `readNumber`. What `prepare` throws passes through;
 * conmon is gone then.
 */
export const runConmon = async (
  kernel: SocketKernel,
  paths: ConmonPaths,
  request: ConmonRequest,
  hooks: ConmonHooks = {},
): Promise<ConmonHandle> => {
  await using resources = new AsyncDisposableStack();
  const open = (): PipeEnds => {
    const ends = kernel.pipe();
    resources.defer(() => closeOnce(ends.readFd));
    resources.defer(() => closeOnce(ends.writeFd));
    return ends;
  };
  const closed = new Set<number>();
  const closeOnce = (fd: number): void => {
    if (closed.has(fd)) return;
    closed.add(fd);
    closeSync(fd);
  };
  const isAttached = hooks.onAttachable !== undefined;
  const pipes: Pipes = {
    sync: open(),
    start: isAttached || hooks.prepare !== undefined ? open() : undefined,
    attach: isAttached ? open() : undefined,
  };
  const spawn = (): ReturnType<typeof spawnConmon> => spawnConmon(paths, request, pipes);
  const child = hooks.around === undefined ? spawn() : hooks.around(spawn);
  closeOnce(pipes.sync.writeFd);
  if (pipes.start !== undefined) {
    closeOnce(pipes.start.readFd);
    try {
      await hooks.prepare?.();
    } catch (error) {
      child.kill("SIGKILL"); // it has not forked yet: nothing else of it is there
      throw error;
    }
    writeSync(pipes.start.writeFd, "1");
    if (pipes.attach !== undefined) {
      closeOnce(pipes.attach.writeFd);
      await lineReader(pipes.attach.readFd)();
      hooks.onAttachable?.();
      writeSync(pipes.start.writeFd, "1");
    }
  }
  const nextLine = lineReader(pipes.sync.readFd);
  const number = await readNumber(nextLine, child.stderr);
  if (request.execProcess === undefined) {
    // The process we started writes its child's pid file and ends, most often long before this.
    await child.exited;
    return { number, exited: Promise.resolve(0) };
  }
  const kept = resources.move();
  const exited = nextLine()
    .then((text) => parseSync(text).data ?? -1)
    .finally(() => void kept.disposeAsync());
  return { number, exited };
};
