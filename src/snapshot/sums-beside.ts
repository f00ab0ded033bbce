/** The store's side of sum-beside.ts: the children that sum up what is still being written, by snapshot. */
import { closeSync } from "node:fs";
import type { SocketKernel } from "#kernel/kernel.ts";
import type { DiffTarResult, Teller } from "#snapshot/snapshot.ts";
import type { WorkerPool } from "#snapshot/worker-pool.ts";

export class SumsBeside {
  readonly #kernel: Pick<SocketKernel, "pipe">;
  readonly #workers: WorkerPool;
  readonly #running = new Map<string, Promise<DiffTarResult | undefined>>();

  constructor(kernel: Pick<SocketKernel, "pipe">, workers: WorkerPool) {
    this.#kernel = kernel;
    this.#workers = workers;
  }

  start(id: string, upper: string, signal: AbortSignal | undefined): Teller {
    const { readFd, writeFd } = this.#kernel.pipe();
    try {
      const job = { kind: "sum-beside", upper } as const;
      const running = this.#workers.runBeside<"sum-beside">(job, readFd, signal);
      const sum = running.then((result) => result.sum);
      sum.catch(() => undefined); // Told by who takes it; where nobody does, the writer has failed.
      this.#running.set(id, sum);
    } catch (error) {
      closeSync(writeFd);
      throw error;
    } finally {
      closeSync(readFd);
    }
    let isOpen = true;
    const dispose = (): void => {
      if (isOpen) closeSync(writeFd);
      isOpen = false;
    };
    return { fd: writeFd, [Symbol.dispose]: dispose };
  }

  /** Once. Undefined: none was taken, or it is of no use. Throws what the child threw. */
  async take(id: string): Promise<DiffTarResult | undefined> {
    const running = this.#running.get(id);
    this.#running.delete(id);
    return await running;
  }

  /** Nobody will take it: the child ends with the writer. */
  forget(id: string): void {
    this.#running.delete(id);
  }
}
