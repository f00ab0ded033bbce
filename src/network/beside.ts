/** The network's process beside the daemon, started when there is something for it to do. */
import type { Ask, Companion } from "#companion/companion.ts";
import type { Logger } from "#lib/log.ts";
import type { NetworkTask } from "#network/process-protocol.ts";

export interface BesideOptions {
  /** argv of the process; socket and build follow. */
  readonly command: readonly string[];
  readonly build: string;
  readonly execRoot: string;
  readonly logger: Logger;
}

export class Beside {
  readonly #options: BesideOptions;
  readonly #parts: ((ask: Ask) => Promise<void>)[] = [];
  #companion: Promise<Companion> | undefined;
  /** It has answered: a question costs a fraction of a millisecond, not the start of a process. */
  isUp = false;

  constructor(options: BesideOptions) {
    this.#options = options;
  }

  /** `sync` tells the process all of its part anew. */
  onSync(sync: (ask: Ask) => Promise<void>): void {
    this.#parts.push(sync);
  }

  async ask(task: NetworkTask): Promise<unknown> {
    const answer = await (await this.#process()).request(task);
    this.isUp = true;
    return answer;
  }

  /** For what nobody waits for. Nothing when the process never ran: it is told all when it starts. */
  tell(task: NetworkTask): void {
    void this.#companion?.then((companion) => companion.tell(task));
  }

  /** As `ask` for what a process that never ran need not be told. */
  async askRunning(task: NetworkTask): Promise<void> {
    if (this.#companion !== undefined) await (await this.#companion).request(task);
  }

  /** Starts it before it is needed; whoever waits for it waits for all that it is told. */
  async warm(): Promise<void> {
    (await this.#process()).warm();
  }

  /** The process goes on as long as it has something to do. */
  close(): void {
    void this.#companion?.then((companion) => companion.close());
  }

  /** Also one that an earlier daemon left. */
  async end(): Promise<void> {
    await (await this.#process()).end();
  }

  #process(): Promise<Companion> {
    this.#companion ??= this.#make();
    return this.#companion;
  }

  async #make(): Promise<Companion> {
    const { Companion: Made } = await import("#companion/companion.ts");
    const { command, build, execRoot, logger } = this.#options;
    return new Made({
      what: "the network's process",
      command,
      build,
      socketPath: `${execRoot}/net.sock`,
      sync: async (ask) => {
        // oxlint-disable-next-line no-await-in-loop -- one part after the other
        for (const sync of this.#parts) await sync(ask);
      },
      log: logger,
    });
  }
}
