/** Long work in pieces on a thread that others need too: who has had its turn lets the others go first. */
import { monotonicMs } from "#lib/clock.ts";

/** Far below what a request may wait. */
const TURN_MS = 0.3;

export class FairTurn {
  #beganMs = monotonicMs();

  /** True when it is time to `yield`. */
  get isOver(): boolean {
    return monotonicMs() - this.#beganMs >= TURN_MS;
  }

  /** Resolves after everything else that is ready had its turn. */
  async yield(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#beganMs = monotonicMs();
  }
}
