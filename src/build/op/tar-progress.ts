/**
 * Two children make one layer: one writes its tar, the other sums up what is there already. Between them goes a pipe
 * of lines: how many bytes are written, and "end" after the last. Without an end there is no sum.
 */
import { readSync, writeSync } from "node:fs";
import type { TarSum } from "#build/worker-protocol.ts";
import { GrowingSum } from "#snapshot/growing-sum.ts";

/** Less is not worth waking the other one for. */
const STEP_BYTES = 1024 * 1024;
const END = "end";

export class ProgressTeller {
  readonly #fd: number;
  #bytes = 0;
  #told = 0;
  #isHeard = true;

  constructor(fd: number) {
    this.#fd = fd;
  }

  wrote(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes - this.#told < STEP_BYTES) return;
    this.#told = this.#bytes;
    this.#say(`${this.#bytes}\n`);
  }

  end(): void {
    this.#say(`${this.#bytes}\n${END}\n`);
  }

  /** Shorter than PIPE_BUF: all of it or nothing is written (pipe(7)). */
  #say(text: string): void {
    if (!this.#isHeard) return;
    try {
      writeSync(this.#fd, text);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EPIPE") throw error;
      // The other one is gone, and says itself why.
      this.#isHeard = false;
    }
  }
}

/** Reads from `fd` until its writers have closed it. `file` is there when the first line comes. */
export const sumByProgress = (file: string, fd: number): TarSum => {
  using open = new DisposableStack();
  const buffer = Buffer.allocUnsafeSlow(4096);
  let sum: GrowingSum | undefined;
  let isWhole = false;
  let rest = "";
  for (;;) {
    const count = readSync(fd, buffer, 0, buffer.length, null);
    if (count === 0) break;
    const lines = (rest + buffer.toString("latin1", 0, count)).split("\n");
    rest = lines.pop() ?? "";
    sum ??= open.use(new GrowingSum(file));
    isWhole ||= lines.includes(END);
    const told = lines.findLast((line) => line !== END);
    if (told !== undefined) sum.reach(Number(told));
  }
  if (!isWhole || sum === undefined) return {};
  return { diffId: sum.digest(), tarBytes: sum.position };
};
