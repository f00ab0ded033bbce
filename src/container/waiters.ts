/** Clients that wait for a container to stop or go (POST /containers/{id}/wait). */
import { NaruError } from "#lib/errors.ts";
import type { ContainerRecord } from "#container/container.ts";
import type { WaitCondition, WaitResult } from "#container/containers.ts";

interface Waiter {
  readonly condition: WaitCondition;
  readonly resolve: (result: WaitResult) => void;
}

/** Who begins to wait between two runs of a restart policy waits for the next one's end (Docker's rule). */
const isDown = (record: ContainerRecord): boolean =>
  !["running", "paused", "restarting"].includes(record.state.status);

export class Waiters {
  readonly #byId = new Map<string, Set<Waiter>>();

  /** Registered when this returns. Rejects with `canceled` when `signal` aborts. */
  wait(
    record: ContainerRecord,
    condition: WaitCondition,
    signal: AbortSignal,
  ): Promise<WaitResult> {
    if (condition === "not-running" && isDown(record)) {
      return Promise.resolve({ exitCode: record.state.exitCode });
    }
    const { promise, resolve, reject } = Promise.withResolvers<WaitResult>();
    const set = this.#byId.get(record.id) ?? new Set<Waiter>();
    const waiter: Waiter = { condition, resolve };
    set.add(waiter);
    this.#byId.set(record.id, set);
    const onAbort = (): void => {
      set.delete(waiter);
      reject(new NaruError("canceled", "the client stopped waiting"));
    };
    signal.addEventListener("abort", onAbort, { once: true });
    return promise.finally(() => {
      signal.removeEventListener("abort", onAbort);
      set.delete(waiter);
      if (set.size === 0 && this.#byId.get(record.id) === set) this.#byId.delete(record.id);
    });
  }

  onState(record: ContainerRecord): void {
    const { status } = record.state;
    // The end of a run is an end for those who wait, also where the restart policy makes another.
    if (status !== "restarting" && (!isDown(record) || status === "created")) return;
    this.#settle(record, (condition) => condition === "not-running");
  }

  /** Told once per end of the process, whether or not a restart follows. */
  onExit(record: ContainerRecord): void {
    this.#settle(record, (condition) => condition === "next-exit");
  }

  onRemoved(record: ContainerRecord, error?: string): void {
    this.#settle(record, () => true, error);
  }

  #settle(
    record: ContainerRecord,
    test: (condition: WaitCondition) => boolean,
    error?: string,
  ): void {
    const exitCode = record.state.exitCode;
    for (const waiter of this.#byId.get(record.id) ?? []) {
      if (test(waiter.condition))
        waiter.resolve(error === undefined ? { exitCode } : { exitCode, error });
    }
  }
}
