/** The Runtime of `runtime.ts` on conmon and an OCI runtime's command line (crun(1), runc(8)). */
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { sleep } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import type {
  FileKernel,
  MountKernel,
  NamespaceKernel,
  ProcessKernel,
  SocketKernel,
} from "#kernel/kernel.ts";
import type { WatchKernel } from "#kernel/directory-watch.ts";
import { attachStdio } from "#runtime/attach.ts";
import { type ConmonPaths, runConmon } from "#runtime/conmon.ts";
import { deleteEnded } from "#runtime/crun-state.ts";
import { writeControl } from "#runtime/control.ts";
import { createPrecedence } from "#runtime/precedence.ts";
import { type ProtectedBinary, protectBinary } from "#runtime/protected-binary.ts";
import { ReadyExecs } from "#runtime/ready-execs.ts";
import { ReadyMonitors } from "#runtime/ready-monitors.ts";
import { type ExecTools, startExec } from "#runtime/exec.ts";
import { sweepExecs } from "#runtime/exec-sweep.ts";
import { ExitFiles } from "#runtime/exits.ts";
import { removeLeftCgroup } from "#runtime/leftover-cgroup.ts";
import { type RunPaths, runToEnd, sweepRuns } from "#runtime/run.ts";
import type { CreateOptions, CreatedProcess, Runtime, RuntimeOptions } from "#runtime/runtime.ts";

const START_ATTEMPT_MS = 0.5;
const START_TIMEOUT_MS = 10_000;

type RuntimeKernel = MountKernel &
  FileKernel &
  NamespaceKernel &
  ProcessKernel &
  SocketKernel &
  WatchKernel;

const socketNameOf = (id: string): string => id.slice(0, 32);

/** Lets the waiting process go by the runtime's exec FIFO: saves a whole process (crun start.c). */
const startByFifo = async (
  kernel: RuntimeKernel,
  fifo: string,
  process: CreatedProcess,
): Promise<void> => {
  for (let waitedMs = 0; ; waitedMs += START_ATTEMPT_MS) {
    let fd: number;
    try {
      fd = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch (error) {
      const isNotYetThere = (error as NodeJS.ErrnoException).code === "ENXIO";
      if (!isNotYetThere)
        throw new NaruError(
          "failed_precondition",
          "the container's process is not waiting to start",
          { cause: error },
        );
      if (kernel.startTime(process.pid) === undefined || waitedMs > START_TIMEOUT_MS) {
        throw new NaruError(
          "failed_precondition",
          "the container's process ended before it was started",
          { cause: error },
        );
      }
      await sleep(START_ATTEMPT_MS);
      continue;
    }
    try {
      unlinkSync(fifo); // its absence tells the runtime that the container runs
      writeSync(fd, "0");
    } finally {
      closeSync(fd);
    }
    return;
  }
};

const runCommand = async (cmd: string[]): Promise<{ code: number; stderr: string }> => {
  const child = Bun.spawn({ cmd, stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const [stderr, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  return { code, stderr: stderr.trim() };
};

const conmonPidOf = (bundle: string): number =>
  Number(readFileSync(`${bundle}/conmon.pid`, "utf8"));

/** Makes and clears the directories, and the runtime's binary where it needs no copy of itself. */
const preparePaths = (
  kernel: RuntimeKernel,
  options: RuntimeOptions,
): { own: ProtectedBinary | undefined; paths: ConmonPaths; runs: RunPaths } => {
  const own =
    options.runtimeName === "crun"
      ? protectBinary(kernel, options.runtimePath, `${options.root}/bin`)
      : undefined;
  const paths: ConmonPaths = {
    conmon: options.conmonPath,
    runtime: own?.path ?? options.runtimePath,
    state: `${options.root}/state`,
    exits: `${options.root}/exits`,
    sockets: `${options.root}/sockets`,
  };
  const runs = { runtime: paths.runtime, runs: `${options.root}/runs` };
  for (const directory of [paths.state, paths.exits, paths.sockets, execsOf(options), runs.runs]) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  }
  sweepExecs(execsOf(options));
  return { own, paths, runs };
};

/** Only crun is known to read its config from a pipe. */
const readyMonitors = (
  kernel: RuntimeKernel,
  paths: ConmonPaths,
  { runtimeName, places, onUnready }: RuntimeOptions,
): ReadyMonitors | undefined =>
  runtimeName === "crun"
    ? new ReadyMonitors({ kernel, paths, places, socketNameOf, onError: onUnready })
    : undefined;

const execsOf = ({ root }: RuntimeOptions): string => `${root}/exec`;

const execToolsOf = (
  kernel: RuntimeKernel,
  paths: ConmonPaths,
  options: RuntimeOptions,
): ExecTools => {
  const directory = execsOf(options);
  const tools = { kernel, paths, directory };
  if (options.runtimeName !== "crun")
    return { ...tools, ready: undefined, precedence: () => Promise.resolve([]) };
  const ready = new ReadyExecs({ ...tools, onError: options.onUnready });
  return { ...tools, ready, precedence: createPrecedence() };
};

/** Creates by a ready monitor where there is one for the id, else by a fresh one. */
const creatorOf = (
  kernel: RuntimeKernel,
  paths: ConmonPaths,
  options: RuntimeOptions,
  ready: ReadyMonitors | undefined,
) => {
  /** Of the kind that monitors are loaded for before. */
  const isReadyKind = ({ id, within, isTty, hasStdin, logPath }: CreateOptions): boolean =>
    within !== undefined && !isTty && !hasStdin && logPath === options.places.logOf(id);

  const createReady = async (request: CreateOptions): Promise<CreatedProcess | undefined> => {
    const { id, within, config } = request;
    if (within !== undefined && isReadyKind(request))
      return await ready?.create(id, within, config);
    ready?.drop(id);
    return undefined;
  };

  return async (request: CreateOptions): Promise<CreatedProcess> => {
    const made = await createReady(request);
    if (made !== undefined) return made;
    mkdirSync(request.bundle, { recursive: true, mode: 0o700 }); // a monitor that was not used took it along
    const path = `${request.bundle}/config.json`;
    const prepare = async (): Promise<void> =>
      writeFileSync(path, await request.config(), { mode: 0o600 });
    const conmon = { ...request, socketName: socketNameOf(request.id) };
    const handle = await runConmon(kernel, paths, conmon, { prepare, around: request.around });
    if (isReadyKind(request)) ready?.fill();
    return { pid: handle.number, conmonPid: conmonPidOf(request.bundle) };
  };
};

/** A create that fails leaves no cgroup. */
const tidied =
  (create: Runtime["create"], { removeCgroup }: RuntimeOptions): Runtime["create"] =>
  async (request) => {
    let text: string | undefined;
    const config = async (): Promise<string> => (text = await request.config());
    try {
      return await create({ ...request, config });
    } catch (error) {
      if (text !== undefined) await removeLeftCgroup(removeCgroup, text);
      throw error;
    }
  };

export const createRuntime = (kernel: RuntimeKernel, options: RuntimeOptions): Runtime => {
  const { own, paths, runs } = preparePaths(kernel, options);
  const exits = new ExitFiles(paths.exits, kernel);

  const ready = readyMonitors(kernel, paths, options);
  const create = tidied(creatorOf(kernel, paths, options, ready), options);
  const execs = execToolsOf(kernel, paths, options);

  const start = async (id: string, process: CreatedProcess): Promise<void> => {
    if (options.runtimeName === "crun") {
      return startByFifo(kernel, `${paths.state}/${id}/exec.fifo`, process);
    }
    const { code, stderr } = await runCommand([
      paths.runtime,
      `--root=${paths.state}`,
      "start",
      id,
    ]);
    if (code !== 0) throw new NaruError("failed_precondition", stderr);
  };

  const forget = (id: string): void => {
    exits.forget(id);
    rmSync(`${paths.sockets}/${socketNameOf(id)}`, { recursive: true, force: true });
  };

  const remove = async (id: string): Promise<void> => {
    const isCrun = options.runtimeName === "crun";
    if (isCrun && (await deleteEnded(kernel, options.removeCgroup, `${paths.state}/${id}`))) {
      return forget(id);
    }
    const command = [paths.runtime, `--root=${paths.state}`, "delete", "--force", id];
    const { code, stderr } = await runCommand(command);
    if (code !== 0 && !/does not exist|not found|No such file/i.test(stderr)) {
      throw new NaruError("internal", `could not delete the runtime state of "${id}": ${stderr}`);
    }
    forget(id);
  };

  return {
    name: options.runtimeName,
    create: (request) => {
      exits.forget(request.id);
      return create(request);
    },
    start,
    takeReady: () => ready?.take(),
    dropReady: (id) => ready?.drop(id),
    delete: remove,
    attach: (id) => attachStdio(kernel, `${paths.sockets}/${socketNameOf(id)}/attach`),
    resize: (bundle, size) => writeControl(bundle, `1 ${size.height} ${size.width}\n`),
    reopenLog: (bundle) => writeControl(bundle, "2 0 0\n"),
    exec: (request) => startExec(execs, request),
    prepareExec: (id, { hasStdin, after }) =>
      after === undefined
        ? execs.ready?.prepare(id, hasStdin)
        : execs.ready?.prepareAgain(id, hasStdin, after),
    dropExecs: (id) => execs.ready?.drop(id),
    run: (request) => runToEnd(kernel, runs, request, options.removeCgroup),
    sweepRuns: () => sweepRuns(runs),
    pastExit: (id) => exits.read(id),
    onExit: (listener) => exits.onExit(listener),
    close: () => {
      exits.close();
      ready?.close();
      execs.ready?.close();
      own?.[Symbol.dispose]();
    },
  };
};
