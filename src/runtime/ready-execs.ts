/**
 * `crun exec` loaded before it is needed: it waits to read its process from a link to a pipe of this process
 * (decision 28). One begins to load when an exec is created, so that it has the time until it is started, and
 * one after an exec has ended, for the next one. When this process dies it finds no process, and ends.
 */
import { closeSync, constants, mkdirSync, openSync, rmSync, symlinkSync, writeSync } from "node:fs";
import { randomHex, sleep } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import type { SocketKernel } from "#kernel/kernel.ts";
import type { ConmonPaths } from "#runtime/conmon.ts";

export interface ReadyExecInputs {
  readonly kernel: Pick<SocketKernel, "pipe">;
  readonly paths: ConmonPaths;
  /** Each has a directory of its own there. */
  readonly directory: string;
  readonly onError: (reason: unknown) => void;
}

/** At most so many wait, one a container. */
const MAX_WAITING = 8;
const WAIT_MS = 10_000;
/** What a client does after an exec comes first. */
const AGAIN_DELAY_MS = 20;
/** Less than a pipe takes at once. */
const MAX_BYTES = 60_000;

/** A process without a working directory is refused by name: the runtime has read it then. */
const TRIAL = JSON.stringify({ args: ["true"] });
const REFUSAL = "cwd";

export const spawnExec = (
  paths: ConmonPaths,
  id: string,
  directory: string,
  stdin: "pipe" | "ignore",
) =>
  Bun.spawn({
    cmd: [
      paths.runtime,
      `--root=${paths.state}`,
      "exec",
      "--process",
      `${directory}/process.json`,
      "--pid-file",
      `${directory}/pid`,
      id,
    ],
    cwd: "/",
    env: paths.libraries.env(),
    stdin,
    stdout: "pipe",
    stderr: "pipe",
  });

export interface LoadedExec {
  readonly child: ReturnType<typeof spawnExec>;
  readonly directory: string;
}

class WaitingExec implements LoadedExec {
  readonly child: ReturnType<typeof spawnExec>;
  readonly directory: string;
  readonly hasStdin: boolean;
  readonly #writeFd: number;
  #isTold = false;

  constructor({ kernel, paths, directory }: ReadyExecInputs, id: string, hasStdin: boolean) {
    this.hasStdin = hasStdin;
    this.directory = `${directory}/ready-${randomHex(16)}`;
    using undo = new DisposableStack();
    const { readFd, writeFd } = kernel.pipe();
    undo.defer(() => closeSync(readFd));
    try {
      this.#writeFd = openSync(
        `/proc/self/fd/${writeFd}`,
        constants.O_WRONLY | constants.O_NONBLOCK,
      );
    } finally {
      closeSync(writeFd);
    }
    undo.defer(() => closeSync(this.#writeFd));
    mkdirSync(this.directory, { mode: 0o700 });
    undo.defer(() => rmSync(this.directory, { recursive: true, force: true }));
    symlinkSync(`/proc/${process.pid}/fd/${readFd}`, `${this.directory}/process.json`);
    this.child = spawnExec(paths, id, this.directory, hasStdin ? "pipe" : "ignore");
    undo.move();
    // The link must lead somewhere until the runtime has followed it.
    void this.child.exited.then(() => closeSync(readFd));
  }

  /** False when it cannot be used (any more): it is ended then. */
  tell(text: string): boolean {
    const bytes = Buffer.from(text);
    const isUsable = this.child.exitCode === null && bytes.length <= MAX_BYTES;
    const isWhole = isUsable && writeSync(this.#writeFd, bytes) === bytes.length;
    if (!isWhole) this.end();
    else this.#close();
    return isWhole;
  }

  end(): void {
    this.child.kill("SIGKILL");
    this.#close();
    rmSync(this.directory, { recursive: true, force: true });
  }

  #close(): void {
    if (!this.#isTold) closeSync(this.#writeFd);
    this.#isTold = true;
  }
}

export class ReadyExecs {
  readonly #inputs: ReadyExecInputs;
  readonly #waiting = new Map<string, { exec: WaitingExec; expiry: NodeJS.Timeout }>();
  #isTrusted: boolean | undefined;
  #isTrying = false;
  #isClosed = false;

  constructor(inputs: ReadyExecInputs) {
    this.#inputs = inputs;
  }

  /** Begins to load one for the container `id`, unless one waits. */
  prepare(id: string, hasStdin: boolean): void {
    if (this.#isClosed || this.#isTrusted === false) return;
    if (this.#isTrusted === undefined) return void this.#try(id);
    if (this.#waiting.get(id)?.exec.hasStdin === hasStdin) return;
    this.drop(id);
    if (this.#waiting.size >= MAX_WAITING) return;
    const expiry = setTimeout(() => this.drop(id), WAIT_MS).unref();
    try {
      this.#waiting.set(id, { exec: new WaitingExec(this.#inputs, id, hasStdin), expiry });
    } catch (error) {
      clearTimeout(expiry);
      this.#inputs.onError(error);
    }
  }

  /** As `prepare`, when an exec has just ended and another may follow. */
  prepareAgain(id: string, hasStdin: boolean, isStillWanted: () => boolean): void {
    void sleep(AGAIN_DELAY_MS).then(() => {
      if (isStillWanted()) this.prepare(id, hasStdin);
    });
  }

  /** One that was told its process; undefined when there is none. */
  take(id: string, hasStdin: boolean, text: string): LoadedExec | undefined {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined || waiting.exec.hasStdin !== hasStdin) return undefined;
    this.#waiting.delete(id);
    clearTimeout(waiting.expiry);
    return waiting.exec.tell(text) ? waiting.exec : undefined;
  }

  drop(id: string): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.expiry);
    waiting.exec.end();
  }

  close(): void {
    this.#isClosed = true;
    for (const id of this.#waiting.keys()) this.drop(id);
  }

  /** That a process may come from a pipe is no promise of the runtime's. */
  async #try(id: string): Promise<void> {
    if (this.#isTrying) return;
    this.#isTrying = true;
    try {
      const exec = new WaitingExec(this.#inputs, id, false);
      const said = new Response(exec.child.stderr).text();
      exec.tell(TRIAL);
      await exec.child.exited;
      exec.end();
      const text = await said;
      // A container that has just ended says nothing about the runtime.
      if (/not running|does not exist/.test(text)) return;
      this.#isTrusted = text.includes(REFUSAL);
      if (!this.#isTrusted) {
        throw new NaruError("failed_precondition", `no exec is read from a pipe: ${text.trim()}`);
      }
    } catch (error) {
      this.#inputs.onError(error);
    } finally {
      this.#isTrying = false;
    }
  }
}
