/** The daemon's side of the fetch workers: starts them when there is work, a few at a time, and ends them. */
import type { TransferLine, TransferResults, TransferTask } from "#image/fetch-protocol.ts";
import { NaruError } from "#lib/errors.ts";

type Child = Bun.Subprocess<"pipe", "pipe", "pipe">;
type Event = Exclude<TransferLine, { kind: "result" } | { kind: "error" }>;

export interface TransferOptions {
  readonly signal: AbortSignal;
  readonly onEvent: (event: Event) => void;
}

/** An idle worker waits so long for the next layer. */
const IDLE_MS = 1000;
const COMPLAINT_MAX = 2000;

class Worker {
  readonly #child: Child;
  readonly #complaint: Promise<string>;
  #onLine: (line: TransferLine) => void = () => undefined;
  #onEnd: (error: Error) => void = () => undefined;
  idleTimer: Timer | undefined;
  isGone = false;

  constructor(command: readonly string[]) {
    this.#child = Bun.spawn([...command], { stdin: "pipe", stdout: "pipe", stderr: "pipe" });
    this.#complaint = this.#child.stderr.text();
    void this.#watch();
  }

  /** Whatever ends the conversation ends the task. */
  async #watch(): Promise<void> {
    try {
      await this.#listen();
    } catch (cause) {
      this.kill();
      this.#onEnd(new NaruError("internal", "the fetch worker could not be understood", { cause }));
    }
  }

  async #listen(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of this.#child.stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#onLine(JSON.parse(line) as TransferLine);
    }
    this.isGone = true;
    const complaint = (await this.#complaint).trim().slice(-COMPLAINT_MAX);
    this.#onEnd(
      new NaruError(
        "internal",
        `the fetch worker ended without an answer: ${complaint || "no message"}`,
      ),
    );
  }

  async run(task: TransferTask, { signal, onEvent }: TransferOptions): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#onEnd = reject;
    this.#onLine = (line) => {
      if (line.kind === "result") resolve(line.result);
      else if (line.kind === "error") {
        reject(new NaruError(line.code, line.message, { details: line.details }));
      } else onEvent(line);
    };
    const stop = (): void => {
      this.kill();
      reject(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
    };
    signal.addEventListener("abort", stop, { once: true });
    try {
      await this.#child.stdin.write(`${JSON.stringify(task)}\n`);
      await this.#child.stdin.flush();
      return await promise;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  kill(): void {
    this.isGone = true;
    this.#child.kill("SIGKILL");
  }

  /** Resolves when the process has gone. */
  get ended(): Promise<unknown> {
    return this.#child.exited;
  }

  end(): void {
    this.isGone = true;
    void this.#child.stdin.end();
  }
}

export class FetchPool {
  readonly #command: readonly string[];
  readonly #limit: number;
  readonly #idle: Worker[] = [];
  readonly #waiting: (() => void)[] = [];
  #busy = 0;

  /** `command` starts `runFetchWorker`. */
  constructor(command: readonly string[], limit: number) {
    this.#command = command;
    this.#limit = limit;
  }

  /** Rejects with what the worker threw, or the signal's reason: then the worker is gone, and its files are quiet. */
  async run<T extends TransferTask>(
    task: T,
    options: TransferOptions,
  ): Promise<TransferResults[T["kind"]]> {
    await this.#enter(options.signal);
    const worker = this.#take();
    try {
      const result = await worker.run(task, options);
      return result as TransferResults[T["kind"]];
    } catch (error) {
      // Whatever its children were doing ends with it.
      worker.kill();
      await worker.ended;
      throw error;
    } finally {
      this.#leave(worker);
    }
  }

  /** Starts a worker that will be wanted in a moment. */
  warm(): void {
    if (this.#idle.length === 0 && this.#busy < this.#limit) this.#rest(new Worker(this.#command));
  }

  #take(): Worker {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      clearTimeout(idle.idleTimer);
      if (!idle.isGone) return idle;
    }
    return new Worker(this.#command);
  }

  async #enter(signal: AbortSignal): Promise<void> {
    while (this.#busy >= this.#limit && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.push(resolve);
      const leave = (): void => resolve();
      signal.addEventListener("abort", leave, { once: true });
      await promise;
      signal.removeEventListener("abort", leave);
      const at = this.#waiting.indexOf(resolve);
      if (at >= 0) this.#waiting.splice(at, 1);
    }
    if (signal.aborted && this.#busy < this.#limit) this.#waiting.shift()?.(); // The place is for somebody else.
    signal.throwIfAborted();
    this.#busy += 1;
  }

  #leave(worker: Worker): void {
    this.#busy -= 1;
    this.#waiting.shift()?.();
    if (!worker.isGone) this.#rest(worker);
  }

  #rest(worker: Worker): void {
    this.#idle.push(worker);
    worker.idleTimer = setTimeout(() => {
      this.#idle.splice(this.#idle.indexOf(worker), 1);
      worker.end();
    }, IDLE_MS);
  }
}
