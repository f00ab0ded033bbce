/**
 * A process beside the daemon that goes on when the daemon ends, as conmon does for containers: what it
 * serves must not wait for the daemon's thread or its restart. This is the daemon's side; the process's
 * own is `process.ts`.
 *
 * Life: the first `request` finds the process at its socket or starts it; `sync` then tells it all that
 * it must know, each time anew: after a restart of the daemon, after its own death, and when a newer
 * build takes the place of an older one, which answers until the new one knows everything. `close`
 * leaves it to itself (with nothing to do it ends), `end` ends it.
 *
 * Requests are idempotent: one whose answer got lost is sent again. A process that answers nothing for ten seconds
 * is killed, and another started. Errors are the process's own as
 * NaruError; `unavailable` when it cannot be started.
 */
import { rmSync } from "node:fs";
import { backoffMs } from "#lib/backoff.ts";
import { sleep } from "#lib/clock.ts";
import type { FromCompanion, Hello } from "#companion/process.ts";
import { NaruError } from "#lib/errors.ts";
import { LineChannel } from "#companion/line-channel.ts";
import { processKernel } from "#kernel/process.ts";
import { type OpenUnixStream, connectUnixStream } from "#kernel/unix-stream.ts";
import type { Logger } from "#lib/log.ts";

export interface CompanionOptions {
  /** For messages: "the resolver". */
  readonly what: string;
  /** argv; the socket's path and the build follow. */
  readonly command: readonly string[];
  readonly socketPath: string;
  /** Another build of the program takes the place of what runs. */
  readonly build: string;
  /** Tells everything anew by `ask`; what it does not mention is forgotten. */
  readonly sync: (ask: Ask) => Promise<void>;
  readonly log: Logger;
}

export type Ask = (body: unknown) => Promise<unknown>;

const TRIES = 3;
const COMPLAINT_MAX = 2000;
/** It says hello as soon as it is connected to; one that has no descriptor left to accept with is replaced. */
const HELLO_MS = 10_000;
const END_MS = 2000;
const SIGKILL = 9;
const PAUSES = { firstMs: 50, mostMs: 5000 };

/**
 * Of requests that wait none is answered for this many looks in a row, each a second after the last: it is stopped, or
 * hangs. Looks rather than a time: where this process has stood still itself, what came meanwhile is read between them.
 */
const LOOKS = { everyMs: 1000, most: 10 };

/** The connection to one process. */
class Line {
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #hello = Promise.withResolvers<Hello>();
  readonly #channel: LineChannel;
  readonly #what: string;
  readonly #log: Logger;
  #next = 0;
  #pid: number | undefined;
  #looks: NodeJS.Timeout | undefined;
  /** Looks since the last answer. */
  #missed = 0;

  constructor(open: OpenUnixStream, what: string, log: Logger, onClose: () => void) {
    this.#what = what;
    this.#log = log;
    const late = setTimeout(() => this.#channel.close(), HELLO_MS);
    this.#hello.promise.catch(() => undefined).finally(() => clearTimeout(late));
    this.#channel = new LineChannel(
      open,
      (value) => this.#take(value as FromCompanion, log),
      () => {
        clearInterval(this.#looks);
        const error = this.#lost();
        this.#hello.reject(error);
        for (const { reject } of this.#waiting.values()) reject(error);
        this.#waiting.clear();
        onClose();
      },
    );
  }

  get hello(): Promise<Hello> {
    return this.#hello.promise;
  }

  get isOpen(): boolean {
    return this.#channel.isOpen;
  }

  readonly ask: Ask = async (body) => {
    if (!this.#channel.isOpen) throw this.#lost();
    const answer = Promise.withResolvers<unknown>();
    const id = (this.#next += 1);
    this.#waiting.set(id, answer);
    this.#channel.send({ id, body });
    this.#looks ??= setInterval(() => this.#look(), LOOKS.everyMs);
    return await answer.promise;
  };

  send(order: "retire" | "end"): void {
    this.#channel.send({ order });
  }

  close(): void {
    this.#channel.close();
  }

  #lost(): NaruError {
    return new NaruError("unavailable", `${this.#what} hung up`, { details: { isLost: true } });
  }

  /** One that answers nothing any more is ended: what it holds is free then, and its place is taken. */
  #look(): void {
    if (this.#waiting.size === 0) {
      clearInterval(this.#looks);
      this.#looks = undefined;
      this.#missed = 0;
      return;
    }
    this.#missed += 1;
    if (this.#missed < LOOKS.most) return;
    const pid = this.#pid;
    this.#log.error(`${this.#what} does not answer and is killed`, { pid });
    // Its connection is open, so the number is still its own.
    if (pid !== undefined) processKernel.kill(pid, SIGKILL);
    this.#channel.close();
  }

  #take(value: FromCompanion, log: Logger): void {
    this.#missed = 0;
    if ("hello" in value) {
      this.#pid = value.hello.pid;
      return this.#hello.resolve(value.hello);
    }
    if ("log" in value) return log[value.log.level](value.log.message, value.log.fields);
    const waiting = this.#waiting.get(value.id);
    this.#waiting.delete(value.id);
    if ("error" in value) {
      const { code, message, details } = value.error;
      waiting?.reject(new NaruError(code, message, { details }));
    } else waiting?.resolve(value.result);
  }
}

const isLost = (error: unknown): boolean =>
  error instanceof NaruError && error.details["isLost"] === true;

const dial = (path: string): OpenUnixStream | undefined => {
  try {
    return connectUnixStream(path);
  } catch (error) {
    // Nobody there, or a socket that a dead process left: one is started. Otherwise (no descriptor is left) it lives.
    const errno = error instanceof NaruError ? error.details["errno"] : undefined;
    if (errno === "ENOENT" || errno === "ECONNREFUSED") return undefined;
    throw error;
  }
};

export class Companion {
  readonly #options: CompanionOptions;
  #line: Promise<Line> | undefined;
  #isClosed = false;

  constructor(options: CompanionOptions) {
    this.#options = options;
  }

  /** The process's answer. Starts it where it does not run. */
  async request(body: unknown): Promise<unknown> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- again, where the process went away meanwhile
        return await (await this.#connected()).ask(body);
      } catch (error) {
        if (!isLost(error) || attempt === TRIES || this.#isClosed) throw error;
      }
    }
  }

  /** As `request` for what nobody waits for: a failure is told to the log. Nothing when it never ran. */
  tell(body: unknown): void {
    if (this.#line === undefined) return;
    this.request(body).catch((error: unknown) => {
      if (!this.#isClosed)
        this.#options.log.warn(`${this.#options.what} was not told`, { error: String(error) });
    });
  }

  /** Starts it where it does not run. A failure is told to the log: whoever needs it meets it again. */
  warm(): void {
    this.#connected().catch((error: unknown) => {
      if (this.#isClosed) return;
      this.#options.log.warn(`${this.#options.what} did not start`, { error: String(error) });
    });
  }

  /** It goes on alone, as long as it has something to do. */
  close(): void {
    this.#isClosed = true;
    this.#line?.then((line) => line.close()).catch(() => undefined);
  }

  /** Also one that an earlier daemon started. Resolves when it has gone. */
  async end(): Promise<void> {
    this.#isClosed = true;
    const { socketPath, what, log } = this.#options;
    const kept = await this.#line?.catch(() => undefined);
    const line = kept?.isOpen === true ? kept : this.#open(dial(socketPath));
    // One that hangs up without a word is just ending.
    const hello = await line?.hello.catch(() => undefined);
    if (line !== undefined && hello !== undefined) {
      const { pid } = hello;
      line.send("end");
      // Not a child of this process, and whoever's it is may be slow to take note of its end: it counts as gone by then.
      const isGone = await processKernel.waitForEnd(pid, AbortSignal.timeout(END_MS)).then(
        () => true,
        () => false,
      );
      if (!isGone) {
        log.warn(`${what} did not end and is killed`, { pid });
        if (processKernel.kill(pid, SIGKILL)) await processKernel.waitForEnd(pid);
      }
    }
    rmSync(socketPath, { force: true });
  }

  async #connected(): Promise<Line> {
    if (this.#line === undefined) {
      const line = this.#find();
      this.#line = line;
      line.catch(() => {
        if (this.#line === line) this.#line = undefined;
      });
    }
    return await this.#line;
  }

  /** The process that runs, or a new one; it knows everything. */
  async #find(): Promise<Line> {
    const { socketPath, build, sync } = this.#options;
    const found = this.#open(dial(socketPath));
    const hello = await found?.hello.catch(() => undefined);
    const isOurs = found !== undefined && hello?.build === build;
    if (!isOurs) found?.send("retire");
    const line = isOurs ? found : await this.#start();
    if (this.#isClosed && !isOurs) {
      // Whoever wanted it has left meanwhile: with nothing told to it, it has nothing to stay for.
      line.send("end");
      throw new NaruError("canceled", `${this.#options.what} is not needed any more`);
    }
    await sync(line.ask);
    if (!isOurs) found?.send("end");
    return line;
  }

  #open(stream: OpenUnixStream | undefined): Line | undefined {
    if (stream === undefined) return undefined;
    const { what, log } = this.#options;
    const line: Line = new Line(stream, what, log, () => void this.#onClose(line));
    return line;
  }

  async #start(): Promise<Line> {
    const { command, socketPath, build, what } = this.#options;
    rmSync(socketPath, { force: true });
    // A session of its own: signals to the daemon's group are not for it.
    const child = Bun.spawn([...command, socketPath, build], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      detached: true,
      cwd: "/",
    });
    child.unref();
    const reader = child.stdout.getReader();
    const { done } = await reader.read();
    const line = done ? undefined : this.#open(dial(socketPath));
    if (line !== undefined) {
      await line.hello;
      return line;
    }
    const complaint = (await child.stderr.text()).trim().slice(-COMPLAINT_MAX);
    throw new NaruError("unavailable", `${what} did not start: ${complaint || "no message"}`);
  }

  /** What it served must not stay away until the next one asks. */
  async #onClose(line: Line): Promise<void> {
    const current = await this.#line?.catch(() => undefined);
    if (this.#isClosed || current !== line) return;
    const { what, log } = this.#options;
    log.warn(`${what} ended and is started again`);
    this.#line = undefined;
    for (let attempt = 0; !this.#isClosed; attempt += 1) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- until it runs
        await this.#connected();
        return;
      } catch (error) {
        log.error(`${what} did not start again`, { error: String(error) });
        // oxlint-disable-next-line no-await-in-loop -- the next try's time
        await sleep(backoffMs(attempt, PAUSES));
      }
    }
  }
}
