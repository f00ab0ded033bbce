/** One command's view of a project on an engine: what it observes and what it changes there. */
import { ProjectEvents } from "#compose/events.ts";
import { observe, observeContainers } from "#compose/observe.ts";
import type {
  Observed,
  ObservedContainer,
  Operation,
  Plan,
  ProgressEvent,
  StackOptions,
} from "#compose/compose.ts";
import { runGraph } from "#compose/graph.ts";
import { NaruError } from "#lib/errors.ts";
import type { Model } from "#spec/compose/compose.ts";

export class Stack {
  readonly options: StackOptions;
  readonly events: ProjectEvents;
  /** Containers made by this command, by "service:number". */
  readonly made = new Map<string, string>();
  #observed: Observed | undefined;

  constructor(options: StackOptions) {
    this.options = options;
    this.events = new ProjectEvents(options.client, options.project.model.name);
  }

  get model(): Model {
    return this.options.project.model;
  }

  /** Looks anew; what is decided next is decided on this. */
  async observe(hasAllVolumes = false): Promise<Observed> {
    const { client, signal } = this.options;
    this.#observed = await observe(client, this.model, signal, hasAllVolumes);
    return this.#observed;
  }

  /** What was seen last. */
  get observed(): Observed {
    if (this.#observed === undefined) throw new Error("nothing has been observed yet");
    return this.#observed;
  }

  containers(): Promise<ObservedContainer[]> {
    return observeContainers(this.options.client, this.model.name, this.options.signal);
  }

  /** Ids of a service's containers as they are while a plan is carried out, by number. */
  idsOf(service: string): string[] {
    const ids = new Map<number, string>();
    for (const container of this.#observed?.containers ?? []) {
      if (container.service === service && !container.isOneOff) {
        ids.set(container.number, container.id);
      }
    }
    for (const [key, id] of this.made) {
      const [name = "", number = ""] = key.split(":");
      if (name === service) ids.set(Number(number), id);
    }
    for (const gone of this.removed) {
      for (const [number, id] of ids) if (id === gone) ids.delete(number);
    }
    return [...ids].toSorted(([a], [b]) => a - b).map(([, id]) => id);
  }

  readonly removed = new Set<string>();

  tell(event: ProgressEvent): void {
    this.options.host.onProgress(event);
  }

  readonly #halt = new AbortController();

  /** What is being brought up goes no further: nothing new begins, and nobody waits any more. */
  halt(): void {
    this.#halt.abort(new NaruError("canceled", "interrupted"));
  }

  /** Ends waits of bringing up: the caller's own signal, or `halt`. */
  get waitSignal(): AbortSignal {
    const { signal } = this.options;
    return signal === undefined ? this.#halt.signal : AbortSignal.any([signal, this.#halt.signal]);
  }

  /**
   * Rejects with the first failure; what was done before it stays done. `isStopping`: goes on after
   * `halt`, whose consequence it is.
   */
  async run(plan: Plan, isStopping = false): Promise<void> {
    if (plan.operations.length === 0) return;
    // Most of this room, and nothing of it is needed when all is up to date.
    const { execute } = await import("#compose/execute.ts");
    const waits = plan.operations.some((operation) => operation.kind === "await");
    if (waits) await this.events.ready();
    await runGraph<Operation>(
      plan.operations,
      this.options.parallel,
      (operation) => execute(operation, this),
      isStopping ? this.options.signal : this.waitSignal,
    );
  }

  close(): void {
    this.events.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
