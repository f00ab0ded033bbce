/**
 * A monitor that is loaded before it is needed. conmon is started for a container that does not exist yet;
 * it starts `crun create`, which loads and then waits to read its config.json: a link to a pipe of this
 * process. A start writes the config into it, and has the time of loading both.
 *
 * When this process dies the pipe ends, or the link leads nowhere: crun finds no config, and both end. Their
 * files are swept as those of any bundle without a row.
 */
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { sleep } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import { removeDirectory } from "#lib/remove-directory.ts";
import type { NamespaceKernel, ProcessKernel, SocketKernel } from "#kernel/kernel.ts";
import { type ConmonPaths, lineReader, readNumber, spawnConmon } from "#runtime/conmon.ts";
import type { ContainerPlaces } from "#runtime/runtime.ts";

export type ReadyKernel = Pick<NamespaceKernel, "inNewMountNamespace"> &
  Pick<ProcessKernel, "kill" | "startTime"> &
  Pick<SocketKernel, "pipe" | "becomeFile">;

export interface ReadyInputs {
  readonly kernel: ReadyKernel;
  readonly paths: ConmonPaths;
  readonly places: ContainerPlaces;
  readonly socketNameOf: (id: string) => string;
}

const WITHOUT_INPUT = { isTty: false, hasStdin: false, keepsStdinOpen: false } as const;
const WRITE_ATTEMPT_MS = 1;
const SIGKILL = 9;

/** The same pipe, for one who must not wait. */
const openToWrite = (fd: number): number =>
  openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);

/** A pipe takes 64 KiB at once, or less. Ends early when `isOver`: nobody reads the rest. */
const writeAll = async (fd: number, bytes: Uint8Array, isOver: () => boolean): Promise<void> => {
  for (let at = 0; at < bytes.length && !isOver();) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // A runtime that had not loaded yet finds the file, and nobody ever has the pipe open.
      if (code === "EPIPE") return;
      if (code !== "EAGAIN") throw error;
      // oxlint-disable-next-line no-await-in-loop -- until the reader has taken some
      await sleep(WRITE_ATTEMPT_MS);
    }
  }
};

interface Ends {
  /** What the link leads to; stays open until the runtime has answered. */
  readonly read: number;
  readonly write: number;
  /** conmon's sync pipe. */
  readonly sync: number;
}

export class ReadyMonitor {
  readonly id: string;
  readonly conmonPid: number;
  readonly #inputs: ReadyInputs;
  readonly #startTicks: bigint | undefined;
  readonly #ends: Ends;
  readonly #open: Set<number>;

  private constructor(inputs: ReadyInputs, id: string, conmonPid: number, ends: Ends) {
    this.#inputs = inputs;
    this.id = id;
    this.conmonPid = conmonPid;
    this.#startTicks = inputs.kernel.startTime(conmonPid);
    this.#ends = ends;
    this.#open = new Set(Object.values(ends) as number[]);
  }

  /** Resolves when conmon has loaded; the runtime does so then, and waits. */
  static async load(inputs: ReadyInputs, id: string): Promise<ReadyMonitor> {
    const { kernel, paths, places, socketNameOf } = inputs;
    const bundle = places.bundleOf(id);
    const logPath = places.logOf(id);
    await using undo = new AsyncDisposableStack();
    const closed = (fd: number): number => {
      undo.defer(() => closeSync(fd));
      return fd;
    };
    mkdirSync(dirname(logPath), { recursive: true, mode: 0o710 });
    undo.defer(() => rmSync(dirname(logPath), { recursive: true, force: true }));
    mkdirSync(bundle, { recursive: true, mode: 0o700 });
    undo.defer(() => removeDirectory(bundle));
    undo.defer(() => rmSync(`${paths.sockets}/${socketNameOf(id)}`, { force: true }));
    const config = kernel.pipe();
    const read = closed(config.readFd);
    const sync = kernel.pipe();
    closed(sync.readFd);
    let write: number;
    let child: ReturnType<typeof spawnConmon>;
    try {
      write = closed(openToWrite(config.writeFd));
      symlinkSync(`/proc/${process.pid}/fd/${read}`, `${bundle}/config.json`);
      const request = { id, bundle, logPath, socketName: socketNameOf(id), ...WITHOUT_INPUT };
      child = kernel.inNewMountNamespace(() => spawnConmon(paths, request, { sync }));
    } finally {
      closeSync(config.writeFd);
      closeSync(sync.writeFd);
    }
    const said = new Response(child.stderr).text();
    if ((await child.exited) !== 0) {
      throw new NaruError("failed_precondition", `conmon did not load: ${await said}`);
    }
    const conmonPid = Number(readFileSync(`${bundle}/conmon.pid`, "utf8"));
    undo.move();
    return new ReadyMonitor(inputs, id, conmonPid, { read, write, sync: sync.readFd });
  }

  get isAlive(): boolean {
    const ticks = this.#inputs.kernel.startTime(this.conmonPid);
    return ticks !== undefined && ticks === this.#startTicks;
  }

  /**
   * Gives the runtime its config; resolves to the pid of the process that it made. To be called once. Fails
   * as `readNumber`. `file`: what is read the second time, or by a runtime that has not loaded yet.
   */
  async create(config: string, file = config): Promise<number> {
    // The runtime reads it twice, the second time from a file: it must be there before the first one ends.
    this.#inputs.kernel.becomeFile(this.#ends.read, file);
    let isAnswered = false;
    const answer = readNumber(lineReader(this.#ends.sync)).finally(() => (isAnswered = true));
    const written = writeAll(this.#ends.write, Buffer.from(config), () => isAnswered).finally(() =>
      this.#close(this.#ends.write),
    );
    const [pid] = await Promise.all([answer, written]);
    for (const fd of this.#open) this.#close(fd);
    // The runtime has a copy; the link leads nowhere from here on.
    rmSync(`${this.#inputs.places.bundleOf(this.id)}/config.json`, { force: true });
    return pid;
  }

  /**
   * Ends it; the runtime's process dies with conmon. Its bundle goes too, and with `isUnborn` the directory
   * of a container that there never was.
   */
  end({ isUnborn }: { readonly isUnborn: boolean }): void {
    const { kernel, paths, places, socketNameOf } = this.#inputs;
    for (const fd of this.#open) this.#close(fd);
    if (this.isAlive) kernel.kill(this.conmonPid, SIGKILL);
    removeDirectory(places.bundleOf(this.id));
    rmSync(`${paths.sockets}/${socketNameOf(this.id)}`, { force: true });
    if (isUnborn) rmSync(dirname(places.logOf(this.id)), { recursive: true, force: true });
  }

  #close(fd: number): void {
    if (this.#open.delete(fd)) closeSync(fd);
  }
}
