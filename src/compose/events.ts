/** Events of the project's containers, for those who wait for a state instead of polling. */
import type { Client } from "#client/client.ts";
import { jsonLines } from "#client/progress.ts";
import { LABEL } from "#compose/labels.ts";

export interface ContainerEvent {
  readonly Action: string;
  readonly Type: string;
  readonly Actor: {
    readonly ID: string;
    readonly Attributes: Readonly<Record<string, string>>;
  };
  readonly time: number;
  readonly timeNano: number;
}

/** Opened when the first one waits; closed with its owner. */
export class ProjectEvents {
  readonly #client: Client;
  readonly #project: string;
  readonly #abort = new AbortController();
  readonly #listeners = new Set<(event: ContainerEvent | undefined) => void>();
  #opening: Promise<void> | undefined;

  constructor(client: Client, project: string) {
    this.#client = client;
    this.#project = project;
  }

  /** Resolves when nothing that happens from now on is missed. */
  ready(): Promise<void> {
    this.#opening ??= this.#open();
    return this.#opening;
  }

  async #open(): Promise<void> {
    const response = await this.#client.call("events", {
      query: { filters: { label: [`${LABEL.project}=${this.#project}`], type: ["container"] } },
      signal: this.#abort.signal,
    });
    const read = async (): Promise<void> => {
      try {
        for await (const event of jsonLines<ContainerEvent>(response.body)) this.#tell(event);
      } finally {
        // The stream has ended: whoever waits looks again, and then sees that for itself.
        this.#tell(undefined);
      }
    };
    read().catch(() => undefined);
  }

  #tell(event: ContainerEvent | undefined): void {
    for (const listener of this.#listeners) listener(event);
  }

  subscribe(listener: (event: ContainerEvent | undefined) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  close(): void {
    this.#abort.abort();
    this.#listeners.clear();
  }
}

/** Calls `look` now and after every event of these containers until it gives a value. */
export const untilSeen = async <T>(
  events: ProjectEvents,
  ids: ReadonlySet<string>,
  look: () => Promise<T | undefined>,
  signal?: AbortSignal,
): Promise<T> => {
  await events.ready();
  let wake: (() => void) | undefined;
  let isDirty = true;
  const notice = (): void => {
    isDirty = true;
    wake?.();
  };
  const stop = events.subscribe((event) => {
    if (event === undefined || ids.has(event.Actor.ID)) notice();
  });
  signal?.addEventListener("abort", notice, { once: true });
  try {
    for (;;) {
      signal?.throwIfAborted();
      if (isDirty) {
        isDirty = false;
        const seen = await look();
        if (seen !== undefined) return seen;
        continue;
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      await promise;
    }
  } finally {
    stop();
    signal?.removeEventListener("abort", notice);
  }
};
