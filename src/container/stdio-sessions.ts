/**
 * Clients attached to containers. One may attach before the container runs (docker run does): it
 * is connected when the process is made and before it is let go, so that no output is missed.
 */
import { sleep } from "#lib/clock.ts";
import type { OutputChunk, StdioSession } from "#container/containers.ts";
import type { DetachScanner } from "#container/detach-keys.ts";
import type { Stdio } from "#runtime/runtime.ts";

export interface SessionOptions {
  readonly isTty: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Output from before, replayed first. */
  readonly replay: AsyncIterable<OutputChunk> | undefined;
  readonly detach: DetachScanner | undefined;
  readonly onDetach: () => void;
}

/** A session that knows whether its client left by the detach keys. */
export interface AttachedSession extends StdioSession {
  isDetached(): boolean;
}

class Session implements AttachedSession {
  readonly isTty: boolean;
  readonly output: AsyncIterable<OutputChunk>;
  readonly #options: SessionOptions;
  readonly #connected = Promise.withResolvers<Stdio | undefined>();
  readonly #ended = Promise.withResolvers<void>();
  #stdio: Stdio | undefined;
  #isStdinClosed = false;
  #isClosed = false;
  #isDetached = false;

  constructor(options: SessionOptions) {
    this.isTty = options.isTty;
    this.#options = options;
    this.output = this.#read();
  }

  /** `undefined`: the process will never run. */
  connect(stdio: Stdio | undefined): void {
    if (this.#isClosed) return stdio?.close();
    this.#stdio = stdio;
    this.#connected.resolve(stdio);
  }

  async writeStdin(bytes: Uint8Array): Promise<void> {
    const stdio = await this.#connected.promise;
    if (stdio === undefined || !this.#options.stdin || this.#isStdinClosed || this.#isClosed)
      return;
    const scanned = this.#options.detach?.scan(bytes);
    const passed = scanned === undefined ? bytes : scanned.passed;
    if (passed.length > 0) await stdio.write(passed);
    if (scanned?.isDetached !== true) return;
    this.#isDetached = true;
    this.#options.onDetach();
    this.close();
  }

  isDetached(): boolean {
    return this.#isDetached;
  }

  closeStdin(): void {
    if (this.#isStdinClosed || !this.#options.stdin) return;
    this.#isStdinClosed = true;
    void this.#connected.promise.then((stdio) => {
      // A terminal has no end of file of its own: its user types it.
      if (!this.isTty) stdio?.closeStdin();
    });
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#connected.resolve(undefined);
    this.#ended.resolve();
    this.#stdio?.close();
  }

  /** Resolves when all output was taken, or the client is gone. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  async *#read(): AsyncGenerator<OutputChunk> {
    try {
      if (this.#options.replay !== undefined) yield* this.#options.replay;
      const stdio = await this.#connected.promise;
      if (stdio === undefined) return;
      for await (const chunk of stdio.output) {
        if (this.#isClosed) return;
        if (chunk.stream === 1 ? this.#options.stdout : this.#options.stderr) yield chunk;
      }
    } finally {
      this.#ended.resolve();
    }
  }
}

export class StdioSessions {
  readonly #waiting = new Map<string, Set<Session>>();
  readonly #live = new Map<string, Set<Session>>();

  /** A session that is connected at the next start of `id`. */
  open(id: string, options: SessionOptions): AttachedSession {
    const session = new Session(options);
    const set = this.#waiting.get(id) ?? new Set<Session>();
    set.add(session);
    this.#waiting.set(id, set);
    return session;
  }

  /** A session on an exec's process; `undefined`: only the replay. */
  openConnected(stdio: Stdio | undefined, options: SessionOptions): AttachedSession {
    const session = new Session(options);
    session.connect(stdio);
    return session;
  }

  /** A session on a container that runs already. */
  join(id: string, stdio: Stdio, options: SessionOptions): AttachedSession {
    const session = new Session(options);
    this.#follow(id, session);
    session.connect(stdio);
    return session;
  }

  /** Resolves when every client of `id` has taken all output, or after `timeoutMs`. */
  async drained(id: string, timeoutMs: number): Promise<void> {
    const sessions = this.#live.get(id);
    if (sessions === undefined) return;
    const limit = new AbortController();
    const all = Promise.all([...sessions].map((session) => session.ended));
    await Promise.race([all, sleep(timeoutMs, limit.signal).catch(() => undefined)]);
    limit.abort();
  }

  /** Those that wait for the process of `id`. Nothing comes where `attach` gives `undefined`. */
  connect(id: string, attach: () => Stdio | undefined): void {
    for (const session of this.#take(id)) {
      this.#follow(id, session);
      session.connect(attach());
    }
  }

  /** The start failed or the container is gone: nothing will come any more. */
  abandon(id: string): void {
    for (const session of this.#take(id)) session.connect(undefined);
  }

  #follow(id: string, session: Session): void {
    const set = this.#live.get(id) ?? new Set<Session>();
    this.#live.set(id, set.add(session));
    void session.ended.then(() => {
      set.delete(session);
      if (set.size === 0 && this.#live.get(id) === set) this.#live.delete(id);
    });
  }

  #take(id: string): ReadonlySet<Session> {
    const set = this.#waiting.get(id) ?? new Set<Session>();
    this.#waiting.delete(id);
    return set;
  }
}
