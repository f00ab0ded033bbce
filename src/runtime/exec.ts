/**
 * Further processes in a running container. Without a terminal and with a client attached the
 * runtime is a direct child (no monitor: fastest); with a terminal, or detached, conmon keeps it.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { sleep } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import { removeDirectory } from "#lib/remove-directory.ts";
import type { SocketKernel } from "#kernel/kernel.ts";
import { attachStdio } from "#runtime/attach.ts";
import { type ConmonPaths, runConmon } from "#runtime/conmon.ts";
import { writeControl } from "#runtime/control.ts";
import type { OutputChunk } from "#runtime/output.ts";
import { type LoadedExec, type ReadyExecs, spawnExec } from "#runtime/ready-execs.ts";
import type { ExecOptions, ExecProcess, Stdio } from "#runtime/runtime.ts";

export interface ExecTools {
  readonly kernel: SocketKernel;
  readonly paths: ConmonPaths;
  /** Each exec has a directory of its own there. */
  readonly directory: string;
  /** undefined = this runtime cannot be loaded before. */
  readonly ready: ReadyExecs | undefined;
  /** See precedence.ts. */
  readonly precedence: () => Promise<readonly string[]>;
}

/**
 * Both streams as they come. What the runtime itself says before the process runs (`hasStarted`) is
 * held back: it is no output of the process, but the reason why there is none (`onFailure`).
 */
async function* interleave(
  stdout: ReadableStream<Uint8Array>,
  stderr: ReadableStream<Uint8Array>,
  hasStarted: () => boolean,
  onFailure: (text: string) => string,
): AsyncGenerator<OutputChunk> {
  const held: OutputChunk[] = [];
  const readers = [stdout.getReader(), stderr.getReader()] as const;
  const next = (index: 0 | 1) => readers[index].read().then((result) => ({ index, result }));
  const pending = new Map([
    [0, next(0)],
    [1, next(1)],
  ]);
  try {
    while (pending.size > 0) {
      // oxlint-disable-next-line no-await-in-loop -- one chunk after the other
      const { index, result } = await Promise.race(pending.values());
      if (result.done) {
        pending.delete(index);
        continue;
      }
      pending.set(index, next(index));
      held.push({ stream: index === 0 ? 1 : 2, bytes: result.value });
      if (hasStarted()) yield* held.splice(0);
    }
    if (held.length === 0) return;
    if (hasStarted()) {
      yield* held;
      return;
    }
    const text = Buffer.concat(held.map((chunk) => chunk.bytes)).toString("utf8");
    yield { stream: 1, bytes: Buffer.from(onFailure(text)) };
  } finally {
    for (const reader of readers) void reader.cancel().catch(() => undefined);
  }
}

const FAILURE_READ_MS = 1000;
const NOT_STARTED_CODE = 126;

const readPid = (path: string): number => {
  try {
    return Number(readFileSync(path, "utf8")) || 0;
  } catch {
    return 0; // not written yet
  }
};

/** One that waits is told its process, else one is started. */
const loadedExec = (
  paths: ConmonPaths,
  ready: ReadyExecs | undefined,
  options: ExecOptions,
  makeDirectory: () => string,
): LoadedExec => {
  const { id, hasStdin } = options;
  const waiting = ready?.take(id, hasStdin, options.process);
  if (waiting !== undefined) return waiting;
  const directory = makeDirectory();
  try {
    return { child: spawnExec(paths, id, directory, hasStdin ? "pipe" : "ignore"), directory };
  } catch (cause) {
    rmSync(directory, { recursive: true, force: true });
    throw new NaruError("unavailable", `could not run "${paths.runtime}"`, { cause });
  }
};

const directExec = ({ child, directory }: LoadedExec, options: ExecOptions): ExecProcess => {
  const pidFile = `${directory}/pid`;
  let failure: { message: string; exitCode: number } | undefined;
  const failed = Promise.withResolvers<void>();
  let isStarted = false;
  const hasStarted = (): boolean => (isStarted ||= existsSync(pidFile));
  const sink = typeof child.stdin === "object" ? child.stdin : undefined;
  const stdio: Stdio = {
    output: interleave(child.stdout, child.stderr, hasStarted, (text) => {
      failure = options.explain(text);
      failed.resolve();
      return `${failure.message}\r\n`;
    }),
    write: async (bytes) => {
      void sink?.write(bytes);
      await sink?.flush();
    },
    closeStdin: () => void sink?.end(),
    close: () => void sink?.end(),
  };
  const exited = child.exited
    .then(async (code) => {
      if (hasStarted()) return code;
      // The reader of the output learns the reason; one that is gone is not waited for.
      await Promise.race([failed.promise, sleep(FAILURE_READ_MS)]);
      return failure?.exitCode ?? NOT_STARTED_CODE;
    })
    .finally(() => rmSync(directory, { recursive: true, force: true }));
  return { pid: () => readPid(pidFile), stdio, exited, resize: () => undefined };
};

const monitoredExec = async (
  { kernel, paths }: ExecTools,
  options: ExecOptions,
  directory: string,
  precededBy: readonly string[],
): Promise<ExecProcess> => {
  const socketName = options.execId.slice(0, 32);
  let stdio: Stdio | undefined;
  const request = {
    id: options.id,
    socketName,
    bundle: directory,
    logPath: undefined,
    isTty: options.isTty,
    hasStdin: options.hasStdin,
    keepsStdinOpen: false,
    execProcess: `${directory}/process.json`,
    precededBy,
  };
  const onAttachable = (): void => {
    stdio = attachStdio(kernel, `${paths.sockets}/${socketName}/attach`);
  };
  const clean = (): void => {
    removeDirectory(directory);
    rmSync(`${paths.sockets}/${socketName}`, { recursive: true, force: true });
  };
  try {
    const handle = await runConmon(
      kernel,
      paths,
      request,
      options.isDetached ? {} : { onAttachable },
    );
    return {
      pid: () => handle.number,
      stdio,
      exited: handle.exited.finally(clean),
      resize: (size) => writeControl(directory, `1 ${size.height} ${size.width}\n`),
    };
  } catch (error) {
    stdio?.close();
    clean();
    throw error;
  }
};

export const startExec = async (tools: ExecTools, options: ExecOptions): Promise<ExecProcess> => {
  const { paths, directory: root, ready } = tools;
  const makeDirectory = (): string => {
    const directory = `${root}/${options.execId}`;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeFileSync(`${directory}/process.json`, options.process, { mode: 0o600 });
    return directory;
  };
  if (options.isTty || options.isDetached) {
    const precededBy = options.isTty ? await tools.precedence() : [];
    return monitoredExec(tools, options, makeDirectory(), precededBy);
  }
  return directExec(loadedExec(paths, ready, options, makeDirectory), options);
};
