/**
 * The two children that make a large layer, with a pipe between them (tar-progress.ts). Starting takes them as long as
 * the context of a build takes to come up to date: where a change is seen in there, they are started before it is known
 * what for, and wait. A pair that nobody takes ends soon.
 */
import { closeSync } from "node:fs";
import type { BuildDependencies } from "#build/dependencies.ts";
import { type WaitingWorker, startBuildWorker } from "#build/worker-client.ts";
import type { BuildJob, PackedLayer, TarSum } from "#build/worker-protocol.ts";
import { sleep } from "#lib/clock.ts";

/** From the first file of a context to its first COPY. */
const WAIT_MS = 10_000;

interface Pair {
  readonly packer: WaitingWorker;
  readonly summer: WaitingWorker;
}

type Job<V extends BuildJob["verb"]> = Extract<BuildJob, { verb: V }>;

export class LayerChildren {
  readonly #dependencies: Pick<BuildDependencies, "kernel" | "workerCommand">;
  #waiting: Pair | undefined;

  constructor(dependencies: Pick<BuildDependencies, "kernel" | "workerCommand">) {
    this.#dependencies = dependencies;
  }

  /** A layer may soon be made. */
  expect(): void {
    if (this.#waiting !== undefined) return;
    const pair = this.#start();
    this.#waiting = pair;
    void sleep(WAIT_MS).then(() => {
      if (this.#waiting !== pair) return;
      this.#waiting = undefined;
      pair.packer.end();
      pair.summer.end();
    });
  }

  /** Both children are gone when this settles. */
  async run(
    pack: Job<"pack">,
    sum: Job<"sum">,
    signal: AbortSignal,
  ): Promise<[PackedLayer, TarSum]> {
    signal.throwIfAborted();
    const { packer, summer } = this.#waiting ?? this.#start();
    this.#waiting = undefined;
    const running = [packer.run(pack, signal), summer.run(sum, signal)] as const;
    const [packed, summed] = await Promise.allSettled(running);
    if (packed.status === "rejected") throw packed.reason;
    if (summed.status === "rejected") throw summed.reason;
    return [packed.value, summed.value];
  }

  #start(): Pair {
    const { kernel, workerCommand } = this.#dependencies;
    const { readFd, writeFd } = kernel.pipe();
    try {
      const packer = startBuildWorker(workerCommand, writeFd);
      return { packer, summer: startBuildWorker(workerCommand, readFd) };
    } finally {
      // The children have their own by now: each must notice when the other's is closed.
      closeSync(writeFd);
      closeSync(readFd);
    }
  }
}
