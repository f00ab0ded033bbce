/** Starts snapshot children, a few at a time, and brings their results back. */
import { availableParallelism } from "node:os";
import { type JobResults, type SnapshotJob, readResult } from "#snapshot/job.ts";

export interface RunOptions {
  readonly stdin?: ReadableStream<Uint8Array>;
  readonly signal?: AbortSignal | undefined;
}

type Stdin = "ignore" | ReadableStream<Uint8Array> | number;
type Child = Bun.Subprocess<Stdin, "ignore" | "pipe", "pipe">;

export class WorkerPool {
  readonly #command: readonly string[];
  readonly #limit = Math.max(2, availableParallelism());
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  /** `command` is followed by the job as one more argument. */
  constructor(command: readonly string[]) {
    this.#command = command;
  }

  /** Rejects with what the child threw, or the signal's reason (the child is killed). */
  async run<K extends SnapshotJob["kind"]>(
    job: Extract<SnapshotJob, { kind: K }>,
    options: RunOptions = {},
  ): Promise<JobResults[K]> {
    const { signal } = options;
    await this.#enter(signal);
    try {
      const child = this.#spawn(job, "ignore", options.stdin ?? "ignore");
      const result = await this.#result(child, signal);
      return result as JobResults[K];
    } finally {
      this.#leave();
    }
  }

  /**
   * As `run`, for a child that works along with another process and ends by itself when `stdinFd` does. It takes no
   * place: who has one could be waiting for it. The descriptor stays the caller's.
   */
  async runBeside<K extends SnapshotJob["kind"]>(
    job: Extract<SnapshotJob, { kind: K }>,
    stdinFd: number,
    signal: AbortSignal | undefined,
  ): Promise<JobResults[K]> {
    return (await this.#result(this.#spawn(job, "ignore", stdinFd), signal)) as JobResults[K];
  }

  /**
   * The child's stdout; errors as the child does. Cancelling, or the signal, kills the child.
   * `onEnd` runs once when the child has ended, however.
   */
  stream(
    job: Extract<SnapshotJob, { kind: "diff" | "export" }>,
    options: { readonly signal?: AbortSignal | undefined; readonly onEnd?: () => void },
  ): ReadableStream<Uint8Array> {
    let child: Child;
    try {
      child = this.#spawn(job, "pipe", "ignore");
    } catch (error) {
      options.onEnd?.();
      throw error;
    }
    const ended = this.#result(child, options.signal).finally(options.onEnd);
    ended.catch(() => undefined); // Told by the stream itself, below.
    const reader = (child.stdout as ReadableStream<Uint8Array>).getReader();
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          const next = await reader.read();
          if (!next.done) return controller.enqueue(next.value);
          await ended;
          controller.close();
        },
        cancel: async () => {
          child.kill("SIGKILL");
          await reader.cancel();
        },
      },
      { highWaterMark: 0 },
    );
  }

  #spawn(job: SnapshotJob, stdout: "ignore" | "pipe", stdin: Stdin): Child {
    return Bun.spawn([...this.#command, JSON.stringify(job)], {
      stdin,
      stdout,
      stderr: "pipe",
    });
  }

  async #result(child: Child, signal: AbortSignal | undefined): Promise<unknown> {
    const kill = (): void => child.kill("SIGKILL");
    signal?.addEventListener("abort", kill, { once: true });
    if (signal?.aborted === true) kill();
    try {
      const [stderr, status] = await Promise.all([child.stderr.text(), child.exited]);
      signal?.throwIfAborted();
      return readResult(stderr, `status ${child.signalCode ?? status}`);
    } finally {
      signal?.removeEventListener("abort", kill);
    }
  }

  async #enter(signal: AbortSignal | undefined): Promise<void> {
    while (this.#running >= this.#limit) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    if (signal?.aborted === true) this.#waiting.shift()?.(); // The place is for somebody else.
    signal?.throwIfAborted();
    this.#running += 1;
  }

  #leave(): void {
    this.#running -= 1;
    this.#waiting.shift()?.();
  }
}
