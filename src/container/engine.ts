/** What the verbs of this room share: the records, one queue per container, who waits, who watches. */
import { sleep } from "#lib/clock.ts";
import { KeyedQueue } from "#lib/keyed-queue.ts";
import { NaruError } from "#lib/errors.ts";
import type { ContainerRecord } from "#container/container.ts";
import type { ContainerDependencies } from "#container/dependencies.ts";
import { bundleOf, directoryOf } from "#container/paths.ts";
import { ContainerStates } from "#container/state.ts";
import { MountedRoots } from "#container/archive.ts";
import { Execs } from "#container/exec.ts";
import { HealthMonitor } from "#container/health.ts";
import { LogRotation } from "#container/log-rotation.ts";
import { OomWatch } from "#container/oom.ts";
import { StdioSessions } from "#container/stdio-sessions.ts";
import { Waiters } from "#container/waiters.ts";
import type { Runtime } from "#runtime/runtime.ts";

const ANSWER_FIRST_MS = 1;

export class Engine {
  readonly deps: ContainerDependencies;
  readonly states: ContainerStates;
  /** One command at a time per container id. */
  readonly actors = new KeyedQueue();
  readonly waiters = new Waiters();
  /** Aborted when the daemon stops. */
  readonly closing = new AbortController();
  /** Containers that are being restarted: `--rm` does not remove them when they end. */
  readonly kept = new Set<string>();
  /** Restarts that a client asked for, until the container runs again or its start has failed. */
  readonly restarting = new Map<string, Promise<void>>();
  readonly stdio = new StdioSessions();
  readonly roots = new MountedRoots();
  readonly execs = new Execs();
  readonly health = new HealthMonitor();
  readonly rotation = new LogRotation();
  readonly oom = new OomWatch();
  /** Restarts of a policy that wait for their back-off, or the delay before the present run. */
  readonly restarts = new Map<
    string,
    { readonly delayMs: number; readonly abort: AbortController }
  >();
  /** How many want a container to stand still for now (stand-still.ts). */
  readonly holds = new Map<string, number>();
  readonly #begins: ((record: ContainerRecord) => void)[] = [];
  /** Work that follows the answer; awaited before the same container starts again and at shutdown. */
  readonly #following = new Map<string, Promise<void>>();

  constructor(deps: ContainerDependencies) {
    this.deps = deps;
    this.states = new ContainerStates(deps.rows);
  }

  /** The record as it is now; not_found when it was removed meanwhile. */
  current(id: string): ContainerRecord {
    const record = this.states.find(id);
    if (record === undefined) throw new NaruError("not_found", `No such container: ${id}`);
    return record;
  }

  /** Commits `changes` to the newest record of `id` and tells those who wait for the new state. */
  transition(id: string, changes: Partial<ContainerRecord>): ContainerRecord {
    const record = this.states.put({ ...this.current(id), ...changes });
    this.waiters.onState(record);
    return record;
  }

  /** As `transition`, with the whole new record: for fields that go away. */
  replace(record: ContainerRecord): ContainerRecord {
    const put = this.states.put(record);
    this.waiters.onState(put);
    return put;
  }

  /** What begins when a process runs: health checks, log rotation, the watches over memory and monitor. */
  onStarted(id: string): void {
    const record = this.states.find(id);
    if (record === undefined) return;
    for (const begin of this.#begins) begin(record);
  }

  /** `begin` is called with each container that runs from now on. */
  whenStarted(begin: (record: ContainerRecord) => void): void {
    this.#begins.push(begin);
  }

  emit(
    record: ContainerRecord,
    action: string,
    attributes: Readonly<Record<string, string>> = {},
  ): void {
    const actor = {
      ...record.config.Labels,
      ...attributes,
      image: record.config.Image,
      name: record.name,
    };
    this.deps.events.publish({
      status: action,
      id: record.id,
      from: record.config.Image,
      Type: "container",
      Action: action,
      Actor: { ID: record.id, Attributes: actor },
    });
  }

  runtimeOf(record: ContainerRecord): Runtime {
    const runtime = this.deps.runtimes.get(record.hostConfig.Runtime);
    if (runtime === undefined) {
      throw new NaruError(
        "failed_precondition",
        `runtime "${record.hostConfig.Runtime}" is not installed any more`,
      );
    }
    return runtime;
  }

  bundleOf(id: string): string {
    return bundleOf(this.deps.paths, id);
  }

  directoryOf(id: string): string {
    return directoryOf(this.deps.paths, id);
  }

  cgroupOf(record: ContainerRecord): string {
    return `${record.hostConfig.CgroupParent || this.deps.cgroupParent}/${record.id}`;
  }

  /** Runs `work` after the answer, in order per container; a failure is logged, not lost. */
  follow(id: string, what: string, work: () => Promise<void>): void {
    // One turn later: the answer that this work follows is written first.
    const task = (this.#following.get(id) ?? sleep(ANSWER_FIRST_MS))
      .then(work)
      .catch((error: unknown) => {
        this.deps.log.error(`could not ${what}`, { container: id, error: String(error) });
      });
    this.#following.set(id, task);
    void task.then(() => {
      if (this.#following.get(id) === task) this.#following.delete(id);
    });
  }

  /** Resolves when what follows earlier commands of `id` is done, and nothing has come behind it meanwhile. */
  async followed(id: string): Promise<void> {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    while (this.#following.has(id)) await this.#following.get(id);
  }

  /** Resolves when all that follows commands answered so far is done. */
  async released(): Promise<void> {
    await Promise.all(this.#following.values());
  }

  async settled(): Promise<void> {
    await this.actors.idle();
    while (this.#following.size > 0) await Promise.all(this.#following.values());
  }
}
