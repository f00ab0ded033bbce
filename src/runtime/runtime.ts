/**
 * OCI runtimes (crun, runc, …) through conmon. The manual of this room.
 *
 * Life of a container process: `create` makes namespaces, cgroup and root and leaves the process
 * waiting; `start` lets it go; the exit is told once to `onExit`; `delete` removes the runtime's
 * state and the cgroup. conmon is the parent of the process: it keeps stdio, the log file and the
 * exit code while the daemon is away, and writes `<exits>/<id>` when the process ends.
 *
 * Every method may be called again after a crash: `delete` of what is gone is no error.
 */
import type { OutputChunk } from "#runtime/output.ts";

export interface RuntimeOptions {
  /** `<execRoot>/runtime`: the runtime's state, attach sockets, exit files. */
  readonly root: string;
  readonly conmonPath: string;
  readonly runtimePath: string;
  /** "crun" lets naru start by the exec fifo; others are started by their own command. */
  readonly runtimeName: string;
  /** Removes a cgroup from all hierarchies; throws while processes are in it. */
  readonly removeCgroup: (path: string) => Promise<void>;
  /** Called just before a runtime moves a process into its cgroup. */
  readonly expectMoves?: () => void;
  /** Where the containers to come keep their files, for monitors loaded before; see `takeReady`. */
  readonly places: ContainerPlaces;
  /** Monitors cannot be loaded before, for a while or for good; containers start without them. */
  readonly onUnready: (reason: unknown) => void;
  /** The runtime and conmon load all their libraries (decision 34), which takes a millisecond more each time. */
  readonly onHeavy: (reason: unknown) => void;
}

export interface ContainerPlaces {
  bundleOf(id: string): string;
  logOf(id: string): string;
}

export interface CreateOptions {
  readonly id: string;
  /** Directory; config.json is written into it here. */
  readonly bundle: string;
  /** Text of config.json. Called while conmon loads; what it throws fails the create. */
  readonly config: () => Promise<string>;
  /** Calls `spawn` once, before `config`: the process is started as the caller's thread stands then. */
  readonly around?: <T>(spawn: () => T) => T;
  /**
   * Called in place of `around`, before `config`, where the monitor was loaded before (`takeReady`): the
   * process will be made in its mount namespace. Without it such a monitor is not used.
   */
  readonly within?: (conmonPid: number) => void;
  /** undefined = no log. */
  readonly logPath: string | undefined;
  readonly isTty: boolean;
  readonly hasStdin: boolean;
  /** Stdin stays open when the first attached client is gone. */
  readonly keepsStdinOpen: boolean;
  /**
   * With it the process need not wait for `start`: a runtime that can lets it go on its own, before `create` resolves,
   * and calls this right before, once; its streams can be attached then.
   */
  readonly beforeStart?: () => void;
}

export interface CreatedProcess {
  readonly pid: number;
  readonly conmonPid: number;
}

export interface ExitNotice {
  readonly id: string;
  readonly exitCode: number;
  /** RFC 3339, the moment conmon saw the end. */
  readonly finishedAt: string;
}

/** Live stdio of a process. One per client; all see all output. */
export interface Stdio {
  readonly output: AsyncIterable<OutputChunk>;
  write(bytes: Uint8Array): Promise<void>;
  closeStdin(): void;
  close(): void;
}

export interface ExecOptions {
  /** The container's id. */
  readonly id: string;
  readonly execId: string;
  /** OCI process JSON. */
  readonly process: string;
  readonly isTty: boolean;
  readonly hasStdin: boolean;
  readonly isDetached: boolean;
  /** What the runtime's words mean when the process could not be started. */
  readonly explain: (text: string) => { readonly message: string; readonly exitCode: number };
}

export interface ExecProcess {
  /** 0 while unknown. */
  readonly pid: () => number;
  /** undefined when detached. */
  readonly stdio: Stdio | undefined;
  readonly exited: Promise<number>;
  resize(size: { height: number; width: number }): void;
}

/** A process that is run to its end, with nothing but a stdout and a stderr. */
export interface RunRequest {
  readonly id: string;
  /** Directory; config.json and the runtime's own log are written into it. */
  readonly bundle: string;
  /** Text of config.json. */
  readonly config: string;
  /** The process waits while a promise that this gave is pending. */
  readonly onOutput: (stream: 1 | 2, bytes: Uint8Array) => void | Promise<void>;
  /**
   * Called once, before anything is read: the process's standard input and output as a connection. `onOutput` has its
   * standard error alone then.
   */
  readonly onConnected?: (stdio: RunStdio) => void;
  /** Kills it. */
  readonly signal: AbortSignal;
}

/** Both ends of a process that speaks a protocol. */
export interface RunStdio {
  /** Ends when the process closes its output. To be read to its end. */
  readonly output: AsyncIterable<Uint8Array>;
  /** Resolves when the process's end took it; throws once it is gone. */
  write(bytes: Uint8Array): Promise<void>;
  /** End of its input. Safe to call twice. */
  end(): void;
}

export interface Runtime {
  readonly name: string;
  /** Throws failed_precondition with the runtime's message; nothing is left behind. */
  create(options: CreateOptions): Promise<CreatedProcess>;
  /** Lets the process go, unless it went already (`CreateOptions.beforeStart`). */
  start(id: string, process: CreatedProcess): Promise<void>;
  /**
   * An id for a new container whose monitor and runtime are loaded already, in a mount namespace that is a
   * copy of the host's as it was then; undefined when there is none. For a process without terminal and
   * stdin whose log is where `ContainerPlaces` says. `create` is quicker for it. After some seconds, or
   * when more is asked for, it is created as ever: the id stays good.
   */
  takeReady(): string | undefined;
  /** The container `id` is not started soon. Not a ready one is no error. */
  dropReady(id: string): void;
  /** Removes the runtime's state, attach socket and exit file. Kills what is still there. */
  delete(id: string): Promise<void>;
  attach(id: string): Stdio;
  resize(bundle: string, size: { height: number; width: number }): void;
  /** conmon opens its log path anew (after a rotation by rename). */
  reopenLog(bundle: string): void;
  exec(options: ExecOptions): Promise<ExecProcess>;
  /**
   * An exec without terminal, attached, is likely to follow in the running container `id`: what can be loaded
   * for it is, and waits some seconds. `after`: one has just ended, and that it is still wanted is asked later.
   */
  prepareExec(id: string, options: { hasStdin: boolean; after?: () => boolean }): void;
  /** No exec follows: the container's process has ended, or is another one. */
  dropExecs(id: string): void;
  /**
   * Runs to the end and leaves nothing; resolves to the exit code (128 + signal). Throws
   * failed_precondition with the runtime's words when the process could not be started, and the signal's
   * reason.
   */
  run(request: RunRequest): Promise<number>;
  /** Ends what `run` of a killed daemon left. To be called once, before the first `run`. */
  sweepRuns(): Promise<void>;
  /** The exit of a container that ended while nobody watched. */
  pastExit(id: string): ExitNotice | undefined;
  /** Called for each exit from now on. */
  onExit(listener: (notice: ExitNotice) => void): void;
  /** Stops watching. Processes run on. */
  close(): void;
}
