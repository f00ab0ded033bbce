/** Builds by the reference that their client chose: running ones, and a history of those that ended. */
import { GatewayContainers } from "#api/docker/buildkit/gateway-containers.ts";
import { StatusLog } from "#api/docker/buildkit/status-log.ts";
import { StepVertices } from "#api/docker/buildkit/vertices.ts";
import type { BuildResult } from "#build/build.ts";
import type { BuildRecord } from "#build/history.ts";
import type { Attributes } from "#api/docker/buildkit/attributes.ts";
import { nowNs } from "#lib/clock.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import type { Digest } from "#spec/image/digest.ts";

const HISTORY_MAX = 50;
const RUNNING_MAX = 500;
/** References of builds that ended, kept to answer those who come late. */
const OVER_MAX = 1000;

export interface ExporterOptions {
  readonly type: string;
  readonly attributes: Attributes;
}

/** What a build function gave back. */
export interface Returned {
  /** undefined: it only asked something. */
  readonly result: BuildResult | undefined;
  readonly metadata: Readonly<Record<string, Uint8Array>>;
}

/** One build, from the first that was heard of it: clients ask for its status before they start it. */
export class Job {
  readonly ref: string;
  readonly log = new StatusLog();
  readonly steps: StepVertices;
  /** Session and exporters are known. */
  readonly begun = Promise.withResolvers<{ session: string; signal: AbortSignal }>();
  readonly returned = Promise.withResolvers<Returned>();
  /** Results by the id that the client was given. */
  readonly results = new Map<string, BuildResult>();
  /** Layers that LLB definitions gave, likewise; they become an image when they are given back. */
  readonly trees = new Map<string, Digest | undefined>();
  /** Why a result is none, by the id that the client was given: it hears of it when it asks for the result. */
  readonly failures = new Map<string, NaruError>();
  /** Keeps them, until the job is over. */
  readonly held = new DisposableStack();
  /** Of the client's own build function. */
  readonly containers = new GatewayContainers();
  /** Asked for with it. */
  entitlements: readonly string[] = [];
  readonly startedMs = Number(nowNs() / 1_000_000n);
  isStarted = false;
  /** Not for the history. */
  isInternal = false;
  frontend = "";
  attributes: Attributes = {};
  exporters: readonly ExporterOptions[] = [];
  warnings = 0;
  completedMs: number | undefined;
  error: NaruError | undefined;
  response: Readonly<Record<string, string>> = {};

  constructor(ref: string) {
    this.ref = ref;
    this.steps = new StepVertices(this.log, ref);
    // Whoever waits for them hears of it; nobody may be waiting.
    this.begun.promise.catch(() => undefined);
    this.returned.promise.catch(() => undefined);
  }

  get isRunning(): boolean {
    return this.isStarted && this.completedMs === undefined;
  }

  /** Throws why the result is none. */
  check(id: string): void {
    const failure = this.failures.get(id);
    if (failure !== undefined) throw failure;
  }

  /** Layers of the result that the client knows as `id`. Throws not_found, and what `check` throws. */
  treeOf(id: string): Digest | undefined {
    this.check(id);
    if (this.trees.has(id)) return this.trees.get(id);
    const result = this.results.get(id);
    if (result !== undefined) return result.chainId;
    throw new NaruError("not_found", `there is no result "${id}" in build "${this.ref}"`);
  }

  /** What the history keeps of it. */
  record(): Omit<BuildRecord, "log"> {
    const { ref, attributes, exporters, startedMs, response, warnings, error } = this;
    return {
      ref,
      frontend: this.frontend === "" ? "dockerfile.v0" : this.frontend,
      attributes,
      exporters,
      error: error === undefined ? undefined : { code: error.code, message: error.message },
      startedMs,
      completedMs: this.completedMs ?? startedMs,
      response,
      isPinned: false,
      steps: { ...this.steps.counts },
      warnings,
    };
  }

  complete(error: unknown, response: Readonly<Record<string, string>>): void {
    this.completedMs = Number(nowNs() / 1_000_000n);
    this.response = response;
    if (error !== undefined) this.error = toNaruError(error);
    const reason =
      this.error ?? new NaruError("failed_precondition", `build "${this.ref}" is over`);
    this.begun.reject(reason);
    this.returned.reject(reason);
    this.results.clear();
    this.trees.clear();
    this.failures.clear();
    this.held.dispose();
    this.log.end();
  }
}

export class Jobs {
  readonly #jobs = new Map<string, Job>();
  readonly #over = new Set<string>();
  readonly #watchers = new Set<() => void>();

  list(): readonly Job[] {
    return [...this.#jobs.values()].filter((job) => job.isStarted && !job.isInternal);
  }

  find(ref: string): Job | undefined {
    return this.#jobs.get(ref);
  }

  /** The build of that name, also one that is yet to be started. */
  expect(ref: string): Job {
    const job = this.#jobs.get(ref) ?? new Job(ref);
    this.#jobs.set(ref, job);
    this.#bound();
    return job;
  }

  /** Throws already_exists when it was started before. */
  start(ref: string): Job {
    const job = this.expect(ref);
    if (job.isStarted) throw new NaruError("already_exists", `build "${ref}" exists already`);
    if (this.list().filter((one) => one.isRunning).length >= RUNNING_MAX) {
      throw new NaruError("resource_exhausted", `${RUNNING_MAX} builds are running already`);
    }
    job.isStarted = true;
    this.changed();
    return job;
  }

  remove(ref: string): void {
    this.#jobs.delete(ref);
    this.#over.add(ref);
    for (const oldest of this.#over) {
      if (this.#over.size <= OVER_MAX) break;
      this.#over.delete(oldest);
    }
    this.changed();
  }

  /** It has ended a while ago at most: a client's own build function may not have heard of that. */
  isOver(ref: string): boolean {
    return this.#over.has(ref);
  }

  changed(): void {
    for (const watcher of this.#watchers) watcher();
  }

  /** Calls `watcher` after each start, end and removal; disposing stops it. */
  watch(watcher: () => void): Disposable {
    this.#watchers.add(watcher);
    return { [Symbol.dispose]: () => void this.#watchers.delete(watcher) };
  }

  #bound(): void {
    const over = [...this.#jobs.values()].filter((job) => !job.isRunning);
    for (const job of over.slice(0, Math.max(0, over.length - HISTORY_MAX))) {
      this.#jobs.delete(job.ref);
    }
  }
}
