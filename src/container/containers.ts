/**
 * What the engine can do with containers: the manual of this room and all that `api/` may call.
 *
 * Commands for one container run one after another in its actor (a queue per id); different
 * containers run side by side. `stop` leaves the queue while it waits, so that `kill` gets in.
 * A method resolves after the transition's row is on disk and its event is published. Names: every
 * `container` argument is a full id, a unique id prefix, or a name with or without leading slash;
 * unknown ones throw not_found "No such container: X". Error texts are those Docker's users know.
 */
import type { ContainerRecord } from "#container/container.ts";
import type {
  ChangeResponse,
  CreateRequest,
  CreateResponse,
  ExecCreateRequest,
  ExecInspectResponse,
  PathStat,
  TopResponse,
} from "#spec/docker/container.ts";
import type { EventMessage } from "#spec/docker/event.ts";
import type { Filters } from "#spec/docker/filters.ts";
import type { EndpointSettings } from "#spec/docker/network.ts";
import type { PortChange } from "#spec/docker/port-reach.ts";
import type { PortMap, Resources, RestartPolicy } from "#spec/docker/host-config.ts";

/** One piece of output. Stream 1 = stdout (all of a TTY), 2 = stderr. */
export interface OutputChunk {
  readonly stream: 1 | 2;
  readonly bytes: Uint8Array;
  /** See the runtime's. */
  readonly roomBytes?: number;
}

/** A client's connection to the stdio of a container or exec process. */
export interface StdioSession {
  readonly isTty: boolean;
  /** Ends when the process closed its output and everything was delivered, or on detach. */
  readonly output: AsyncIterable<OutputChunk>;
  /** Resolves when the process side took the bytes (back-pressure). Ignored once stdin is closed. */
  writeStdin(bytes: Uint8Array): Promise<void>;
  /** The client half-closed: the process sees end of file (if it was opened with StdinOnce or is an exec). */
  closeStdin(): void;
  /** The client is gone. Idempotent; must always be called in the end. */
  close(): void;
}

export interface AttachOptions {
  /** Replays what was written so far before going live. */
  readonly logs: boolean;
  readonly stream: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** "ctrl-p,ctrl-q" form; "" = the default. */
  readonly detachKeys: string;
}

export interface LogsOptions {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly follow: boolean;
  /** Nanoseconds since the epoch. */
  readonly since?: bigint;
  readonly until?: bigint;
  /** Last n lines; undefined = all. */
  readonly tail?: number;
  readonly signal: AbortSignal;
}

export interface LogLine {
  readonly stream: 1 | 2;
  readonly timestampNs: bigint;
  /** With its newline, where it had one. */
  readonly bytes: Uint8Array;
  /** The rest of a line whose beginning came before. */
  readonly isContinuation?: boolean;
}

export type WaitCondition = "not-running" | "next-exit" | "removed";

export interface WaitResult {
  readonly exitCode: number;
  /** Set when the container could not be removed. */
  readonly error?: string;
}

export interface UpdateRequest extends Partial<Resources> {
  readonly RestartPolicy?: RestartPolicy;
}

export interface CommitRequest {
  readonly container: string;
  /** Reference of the new image ("repo:tag"); undefined = untagged. */
  readonly reference?: string;
  readonly author: string;
  readonly comment: string;
  readonly pause: boolean;
  /** Dockerfile instructions. */
  readonly changes: readonly string[];
  /** Overrides parts of the config. */
  readonly config?: Partial<ContainerRecord["config"]>;
}

/** One sample, already in Docker's shape (GET /containers/{id}/stats), without precpu. */
export type StatsSample = Readonly<Record<string, unknown>>;

export interface Containers {
  get(container: string): ContainerRecord;
  /** Newest first. */
  list(): readonly ContainerRecord[];
  create(
    name: string | undefined,
    request: CreateRequest,
    platform?: string,
  ): Promise<CreateResponse>;
  /** Already running: not_modified. */
  start(container: string): Promise<void>;
  /** Not running: not_modified. `timeoutSeconds` undefined = the container's own, -1 = for ever. */
  stop(container: string, options: { signal?: string; timeoutSeconds?: number }): Promise<void>;
  restart(container: string, options: { signal?: string; timeoutSeconds?: number }): Promise<void>;
  /**
   * Of a container that a restart has ended and not started again yet: resolves when that is over,
   * however it ended. Undefined for all others.
   */
  restartUnderway(container: string): Promise<void> | undefined;
  /** "KILL", "SIGKILL" or "9"; "" = KILL. Not running: conflict. */
  kill(container: string, signal: string): Promise<void>;
  pause(container: string): Promise<void>;
  unpause(container: string): Promise<void>;
  rename(container: string, newName: string): Promise<void>;
  update(container: string, request: UpdateRequest): Promise<{ Warnings: string[] | null }>;
  /** Throws at once for unknown containers; otherwise the waiter is registered when this returns. */
  wait(container: string, condition: WaitCondition, signal: AbortSignal): Promise<WaitResult>;
  /** With `batch` it is one removal with others of the same. */
  remove(
    container: string,
    options: { force: boolean; volumes: boolean; batch?: string },
  ): Promise<void>;
  /** "parent/alias": the lines and variables go with the parent's next start. */
  removeLink(link: string): void;
  prune(
    filters: Filters,
    options?: { batch?: string },
  ): Promise<{ ContainersDeleted: string[]; SpaceReclaimed: number }>;

  /** Joins a network, while running too. Texts of refusals are Docker's. */
  connect(
    container: string,
    network: string,
    settings: Partial<EndpointSettings> | null | undefined,
  ): Promise<void>;
  /** Leaves one. Throws not_found when it is not in it. */
  disconnect(container: string, network: string): Promise<void>;

  /** Publishes more ports or fewer, while it runs too; gives the ports as they are then. */
  changePorts(container: string, change: PortChange): Promise<PortMap>;

  attach(container: string, options: AttachOptions): Promise<StdioSession>;
  /** Checks the container at once; driver none throws not_implemented in Docker's words. */
  logs(container: string, options: LogsOptions): AsyncIterable<LogLine>;
  /** One sample now, for a running container; zeros otherwise. */
  stats(container: string): Promise<StatsSample>;
  top(container: string, psArguments: string): Promise<TopResponse>;
  resize(container: string, size: { height: number; width: number }): Promise<void>;
  changes(container: string): Promise<ChangeResponse[]>;
  /** Bytes of the writable layer and of the whole root. */
  sizes(container: string): Promise<{ rw: number; rootFs: number }>;

  export(container: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>>;
  statPath(container: string, path: string): Promise<PathStat>;
  readArchive(
    container: string,
    path: string,
    signal: AbortSignal,
  ): Promise<{ stat: PathStat; tar: ReadableStream<Uint8Array> }>;
  /** `tar` may be compressed with gzip, zstd, bzip2 or xz. */
  writeArchive(
    container: string,
    path: string,
    tar: AsyncIterable<Uint8Array>,
    options: { noOverwriteDirNonDir: boolean; copyUidGid: boolean },
  ): Promise<void>;
  commit(request: CommitRequest): Promise<{ Id: string }>;

  execCreate(container: string, request: ExecCreateRequest): Promise<{ Id: string }>;
  /** `detach`: resolves undefined when the process runs. */
  execStart(
    execId: string,
    options: { detach: boolean; tty: boolean; consoleSize?: [number, number] },
  ): Promise<StdioSession | undefined>;
  execInspect(execId: string): ExecInspectResponse;
  execResize(execId: string, size: { height: number; width: number }): Promise<void>;
  execIds(container: string): readonly string[];
}

/** History and live events. */
export interface Events {
  publish(event: Omit<EventMessage, "time" | "timeNano" | "scope">): void;
  /** Past events since `sinceNs` (if given), then live ones until `untilNs` or abort. */
  stream(options: {
    sinceNs?: bigint;
    untilNs?: bigint;
    signal: AbortSignal;
  }): AsyncIterable<EventMessage>;
}
