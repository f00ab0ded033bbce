/** The few monitors that are loaded ahead (decision 28): none before the first start, none a minute after the last. */
import { rmSync } from "node:fs";
import { monotonicMs, randomHex, sleep } from "#lib/clock.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { type RemoveCgroup, removeLeftCgroup } from "#runtime/leftover-cgroup.ts";
import { type ReadyInputs, ReadyMonitor } from "#runtime/ready-monitor.ts";
import type { CreatedProcess } from "#runtime/runtime.ts";

export interface ReadyMonitorsOptions extends ReadyInputs {
  /** What keeps monitors from being loaded ahead: for a while, or for good where it is the runtime. */
  readonly onError: (reason: unknown) => void;
  readonly removeCgroup: RemoveCgroup;
}

/** At most so many wait; each takes about 2 MiB with its runtime. */
const MAX_READY = 4;
/** How far back starts count for how many are wanted, and how long any stay after the last one. */
const WINDOW_MS = 2000;
const IDLE_MS = 60_000;
/** What was started has its time first: most of what ends soon has ended by then. */
const REFILL_DELAY_MS = 20;
/** How long none is loaded after one could not be. */
const REST_MS = 60_000;
/** A container that is created and not started within this time loses its monitor. */
const TAKEN_MS = 10_000;

/** A config that fails for a namespace of this name: the runtime has read it when it complains of that. */
const configFor = (id: string, missing: string): string =>
  JSON.stringify({
    ociVersion: "1.0.2",
    process: { args: ["/true"], cwd: "/", user: { uid: 0, gid: 0 } },
    root: { path: "/" },
    mounts: [],
    linux: {
      // crun makes it before it looks at the namespaces, by this name even if nobody says so.
      cgroupsPath: `/${id}`,
      namespaces: [{ type: "mount" }, { type: "ipc", path: missing }],
    },
  });

const IN_PIPE = "/proc/naru-read-from-the-pipe";
const IN_FILE = "/proc/naru-read-from-the-file";
const TRIALS_MS = [50, 100, 400, 1600];

/** False where the monitor has died meanwhile, or is just dying: then there is nothing to prepare. */
const surroundedBy = (monitor: ReadyMonitor, surround: (conmonPid: number) => void): boolean => {
  try {
    if (monitor.isAlive) {
      surround(monitor.conmonPid);
      return true;
    }
  } catch {
    // Should it have another reason than that, a fresh monitor's start meets it as well, and tells it.
  }
  monitor.end({ isUnborn: false });
  return false;
};

export class ReadyMonitors {
  readonly #options: ReadyMonitorsOptions;
  readonly #ready: ReadyMonitor[] = [];
  readonly #taken = new Map<string, { monitor: ReadyMonitor; expiry: NodeJS.Timeout }>();
  /** When processes were created that could have used one. */
  #starts: number[] = [];
  #isTried = false;
  #isRefused = false;
  #restsUntil = 0;
  #isClosed = false;
  #isFilling = false;
  #idle: NodeJS.Timeout | undefined;

  constructor(options: ReadyMonitorsOptions) {
    this.#options = options;
  }

  /** See `Runtime.takeReady`. */
  take(): string | undefined {
    for (let monitor = this.#ready.shift(); monitor; monitor = this.#ready.shift()) {
      const { id, isAlive } = monitor;
      if (isAlive) {
        const expiry = setTimeout(() => this.drop(id), TAKEN_MS).unref();
        this.#taken.set(id, { monitor, expiry });
        return id;
      }
      monitor.end({ isUnborn: true });
    }
    return undefined;
  }

  drop(id: string): void {
    this.#claim(id)?.end({ isUnborn: false });
  }

  /**
   * Creates the process of container `id` by its ready monitor: `surround` is told conmon's pid, then
   * `config` gives the text of config.json. undefined when there is no such monitor, or none that lives.
   */
  async create(
    id: string,
    surround: (conmonPid: number) => void,
    config: () => Promise<string>,
  ): Promise<CreatedProcess | undefined> {
    const monitor = this.#claim(id);
    if (monitor === undefined) return undefined;
    const { conmonPid } = monitor;
    try {
      if (!surroundedBy(monitor, surround)) return undefined;
      return { pid: await monitor.create(await config()), conmonPid };
    } catch (error) {
      monitor.end({ isUnborn: false });
      throw error;
    } finally {
      this.fill();
    }
  }

  /** A process is created that has, or could have used, a ready monitor: more of them are loaded. */
  fill(): void {
    const at = monotonicMs();
    this.#starts = [
      ...this.#starts.filter((start) => at - start < WINDOW_MS).slice(-MAX_READY),
      at,
    ];
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#discard(), IDLE_MS).unref();
    if (this.#isFilling || this.#isClosed || at < this.#restsUntil) return;
    this.#isFilling = true;
    void this.#load()
      .catch((error: unknown) => {
        this.#discard();
        this.#restsUntil = this.#isRefused ? Number.POSITIVE_INFINITY : monotonicMs() + REST_MS;
        this.#options.onError(error);
      })
      .finally(() => (this.#isFilling = false));
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#idle);
    this.#discard();
    for (const id of this.#taken.keys()) this.drop(id);
  }

  /** One after the other: they are loaded beside starts, not before them. */
  async #load(): Promise<void> {
    await sleep(REFILL_DELAY_MS);
    if (!this.#isTried && !this.#isClosed) {
      await this.#try();
      this.#isTried = true;
    }
    while (!this.#isClosed && this.#ready.length < Math.min(MAX_READY, this.#starts.length)) {
      // oxlint-disable-next-line no-await-in-loop -- see above
      const monitor = await ReadyMonitor.load(this.#options, randomHex(32));
      if (this.#isClosed) monitor.end({ isUnborn: true });
      else this.#ready.push(monitor);
    }
  }

  /** That config.json may be a pipe is no promise of the runtime's: one that cannot read it is found out here. */
  async #try(): Promise<void> {
    for (const delayMs of TRIALS_MS) {
      // oxlint-disable-next-line no-await-in-loop -- again only where it had not loaded in this time
      const said = await this.#complaintAfter(delayMs);
      if (said.includes(IN_PIPE) || this.#isClosed) return;
      if (!said.includes(IN_FILE)) {
        this.#isRefused = true;
        throw new NaruError("failed_precondition", `it reads no config from a pipe: ${said}`);
      }
    }
    throw new NaruError("failed_precondition", "it takes seconds to load");
  }

  /** What the runtime says of a config that it gets after this time. */
  async #complaintAfter(delayMs: number): Promise<string> {
    const monitor = await ReadyMonitor.load(this.#options, randomHex(32));
    const config = configFor(monitor.id, IN_PIPE);
    try {
      await sleep(delayMs);
      await monitor.create(config, configFor(monitor.id, IN_FILE));
      return "it made a container of a config that names no namespace";
    } catch (error) {
      return toNaruError(error).message;
    } finally {
      monitor.end({ isUnborn: true });
      rmSync(`${this.#options.paths.state}/${monitor.id}`, { recursive: true, force: true });
      await removeLeftCgroup(this.#options.removeCgroup, config);
    }
  }

  #claim(id: string): ReadyMonitor | undefined {
    const taken = this.#taken.get(id);
    if (taken === undefined) return undefined;
    this.#taken.delete(id);
    clearTimeout(taken.expiry);
    return taken.monitor;
  }

  #discard(): void {
    for (const monitor of this.#ready.splice(0)) monitor.end({ isUnborn: true });
  }
}
