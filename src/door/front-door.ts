/** The daemon's side of the front door: tells its process where to listen and what leads where. */
import { readFile } from "node:fs/promises";
import { Companion } from "#companion/companion.ts";
import { authorityPath } from "#door/authority.ts";
import type { DoorConfig, DoorRoute, DoorStatus, DoorTask } from "#door/door.ts";
import { type DoorContainer, routesOf } from "#door/routes.ts";
import { monotonicMs } from "#lib/clock.ts";
import type { Logger } from "#lib/log.ts";

export interface FrontDoorOptions {
  readonly config: DoorConfig;
  /** argv of the process; socket and build follow. */
  readonly command: readonly string[];
  readonly build: string;
  readonly execRoot: string;
  readonly containers: () => readonly DoorContainer[];
  /** Who of this engine has a port of the host, in words. */
  readonly holderOf: (port: number) => string | undefined;
  readonly log: Logger;
}

export interface DoorReport extends DoorStatus {
  readonly routes: readonly DoorRoute[];
  /** The authority's certificate (PEM); undefined without https. */
  readonly authority: string | undefined;
}

/**
 * Changes that come close to each other are told together: soon, as who starts a container asks the door right
 * after, and seldom enough that many changes of many containers take a small part of the engine's time.
 */
const SETTLE_MS = { least: 3, most: 50, timesCost: 6 };
/** A port that somebody had is tried again. */
const RETRY_MS = 5000;

export const doorSocket = (execRoot: string): string => `${execRoot}/door.sock`;

export class FrontDoor {
  readonly #options: FrontDoorOptions;
  readonly #companion: Companion;
  #timer: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #settleMs = SETTLE_MS.least;
  #told = "";
  #problems = "";

  constructor(options: FrontDoorOptions) {
    this.#options = options;
    const { command, build, execRoot, log } = options;
    this.#companion = new Companion({
      what: "the front door",
      command,
      build,
      socketPath: doorSocket(execRoot),
      sync: async (ask) => {
        await ask(this.#routes());
        this.#take((await ask({ kind: "configure", config: options.config })) as DoorStatus);
      },
      log,
    });
  }

  /** Begins; a port that cannot be had is told to the log and tried again. */
  start(): void {
    this.#companion.warm();
  }

  /** Containers came, went or changed. */
  refresh(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const beganMs = monotonicMs();
      const task = this.#routes();
      const text = JSON.stringify(task.routes);
      const costMs = (monotonicMs() - beganMs) * SETTLE_MS.timesCost;
      this.#settleMs = Math.min(SETTLE_MS.most, Math.max(SETTLE_MS.least, costMs));
      if (text === this.#told) return;
      this.#told = text;
      this.#companion.tell(task);
    }, this.#settleMs);
  }

  async report(): Promise<DoorReport> {
    const status = (await this.#companion.request({ kind: "status" })) as DoorStatus;
    const { https, directory } = this.#options.config;
    const authority =
      https === undefined ? undefined : await readFile(authorityPath(directory), "utf8");
    return { ...this.#explained(status), routes: routesOf(this.#options.containers()), authority };
  }

  /** The process goes on as long as there are containers to lead to. */
  stop(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#retry);
    this.#companion.close();
  }

  #routes(): DoorTask & { kind: "routes" } {
    return { kind: "routes", routes: routesOf(this.#options.containers()) };
  }

  #take(status: DoorStatus): void {
    const { log, config } = this.#options;
    const { problems, listening } = this.#explained(status);
    if (problems.length > 0) {
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => void this.#tryAgain(), RETRY_MS).unref();
    }
    const text = JSON.stringify(problems);
    if (text === this.#problems) return;
    this.#problems = text;
    for (const problem of problems) log.error(`front door: ${problem}`);
    if (problems.length === 0)
      log.info("the front door is open", { listening, ...portsOf(config) });
  }

  async #tryAgain(): Promise<void> {
    try {
      const task: DoorTask = { kind: "configure", config: this.#options.config };
      this.#take((await this.#companion.request(task)) as DoorStatus);
    } catch (error) {
      this.#options.log.warn("the front door was not told", { error: String(error) });
    }
  }

  #explained(status: DoorStatus): DoorStatus {
    const problems = status.problems.map((problem) => {
      const port = Number(/:(\d+): the port is in use/.exec(problem)?.[1]);
      const holder = this.#options.holderOf(port);
      return holder === undefined ? problem : `${problem}; ${holder}`;
    });
    return { ...status, problems };
  }
}

const portsOf = ({ http, https }: DoorConfig) => ({ http: http?.port, https: https?.port });

/** Ends the process of an earlier daemon that had the front door on. */
export const endFrontDoor = async (execRoot: string, log: Logger): Promise<void> => {
  const companion = new Companion({
    what: "the front door",
    command: [],
    build: "",
    socketPath: doorSocket(execRoot),
    sync: () => Promise.resolve(),
    log,
  });
  await companion.end();
};
