/** The Runtime of `runtime.ts` on conmon and an OCI runtime's command line (crun(1), runc(8)). */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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
import { runCommand } from "#runtime/command.ts";
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
import { LeanLibraries, WHOLE_LIBRARIES } from "#runtime/lean-libraries.ts";
import { letGo, letGoEarly } from "#runtime/let-go.ts";
import { removeLeftCgroup } from "#runtime/leftover-cgroup.ts";
import { type RunPaths, runToEnd, sweepRuns } from "#runtime/run.ts";
import type { CreateOptions, CreatedProcess, Runtime, RuntimeOptions } from "#runtime/runtime.ts";

type RuntimeKernel = MountKernel &
  FileKernel &
  NamespaceKernel &
  ProcessKernel &
  SocketKernel &
  WatchKernel;

const socketNameOf = (id: string): string => id.slice(0, 32);

const conmonPidOf = (bundle: string): number =>
  Number(readFileSync(`${bundle}/conmon.pid`, "utf8"));

/** Makes and clears the directories, and the runtime's binary where it needs no copy of itself. */
const preparePaths = (
  kernel: RuntimeKernel,
  options: RuntimeOptions,
): { own: ProtectedBinary | undefined; paths: ConmonPaths; runs: RunPaths } => {
  const isCrun = options.runtimeName === "crun";
  const own = isCrun
    ? protectBinary(kernel, options.runtimePath, `${options.root}/bin`)
    : undefined;
  const runtime = own?.path ?? options.runtimePath;
  const libraries = isCrun
    ? new LeanLibraries(`${options.root}/lib`, [runtime, options.conmonPath], options.onHeavy)
    : WHOLE_LIBRARIES;
  const paths: ConmonPaths = {
    conmon: options.conmonPath,
    runtime,
    state: `${options.root}/state`,
    exits: `${options.root}/exits`,
    sockets: `${options.root}/sockets`,
    libraries,
  };
  const runs = { runtime, runs: `${options.root}/runs`, libraries };
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
  { runtimeName, places, onUnready: onError, removeCgroup }: RuntimeOptions,
): ReadyMonitors | undefined =>
  runtimeName === "crun"
    ? new ReadyMonitors({ kernel, paths, places, socketNameOf, onError, removeCgroup })
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

/** Where `beforeStart` asks for it the process is let go beside its creation; `isGone` tells once that it was. */
const eagerly = (
  create: Runtime["create"],
  fifoOf: (id: string) => string,
): Pick<Runtime, "create"> & { isGone: (id: string) => boolean } => {
  const gone = new Set<string>();
  return {
    isGone: (id) => gone.delete(id),
    create: async (request) => {
      const { id, beforeStart } = request;
      gone.delete(id);
      if (beforeStart === undefined) return create(request);
      let isOver = false;
      const made = create(request).finally(() => (isOver = true));
      const [process, isLetGo] = await Promise.allSettled([
        made,
        letGoEarly(fifoOf(id), beforeStart, () => isOver),
      ]);
      if (process.status === "rejected") throw process.reason;
      if (isLetGo.status === "rejected") throw isLetGo.reason;
      if (isLetGo.value) gone.add(id);
      return process.value;
    },
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

export const createRuntime = (kernel: RuntimeKernel, options: RuntimeOptions): Runtime =>
  foretelling(makeRuntime(kernel, options), options);

/** What moves a process into a cgroup tells so, when the runtime is about to be told what to do. */
const foretelling = (runtime: Runtime, { expectMoves }: RuntimeOptions): Runtime =>
  expectMoves === undefined
    ? runtime
    : {
        ...runtime,
        create: (request) => {
          const config = async (): Promise<string> => {
            const text = await request.config();
            expectMoves();
            return text;
          };
          return runtime.create({ ...request, config });
        },
        exec: (request) => {
          expectMoves();
          return runtime.exec(request);
        },
        run: (request) => {
          expectMoves();
          return runtime.run(request);
        },
      };

const makeRuntime = (kernel: RuntimeKernel, options: RuntimeOptions): Runtime => {
  const { own, paths, runs } = preparePaths(kernel, options);
  const exits = new ExitFiles(paths.exits, kernel);

  const ready = readyMonitors(kernel, paths, options);
  const fifoOf = (id: string): string => `${paths.state}/${id}/exec.fifo`;
  const create = tidied(creatorOf(kernel, paths, options, ready), options);
  const eager = options.runtimeName === "crun" ? eagerly(create, fifoOf) : undefined;
  const execs = execToolsOf(kernel, paths, options);

  const start = async (id: string, process: CreatedProcess): Promise<void> => {
    if (eager !== undefined) {
      if (!eager.isGone(id)) await letGo(kernel, fifoOf(id), process);
      return;
    }
    const { code, stderr } = await runCommand(paths, [`--root=${paths.state}`, "start", id]);
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
    const command = [`--root=${paths.state}`, "delete", "--force", id];
    const { code, stderr } = await runCommand(paths, command);
    if (code !== 0 && !/does not exist|not found|No such file/i.test(stderr)) {
      throw new NaruError("internal", `could not delete the runtime state of "${id}": ${stderr}`);
    }
    forget(id);
  };

  return {
    name: options.runtimeName,
    create: (request) => {
      exits.forget(request.id);
      return (eager?.create ?? create)(request);
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
