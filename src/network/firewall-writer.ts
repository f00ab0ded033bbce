/**
 * Coalesces firewall changes: while one transaction is under way, the changes that arrive wait and go
 * together in the next one. Order is kept. When a joint transaction is refused, its changes are tried
 * one by one, so that each caller hears of its own failure alone.
 */
export type ApplyRuleset = (text: string) => Promise<void>;

interface Change {
  readonly text: string;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class FirewallWriter {
  readonly #apply: ApplyRuleset;
  #waiting: Change[] = [];
  #running: Promise<void> | undefined;

  constructor(apply: ApplyRuleset) {
    this.#apply = apply;
  }

  /** Resolves when the change is in force; rejects with what the kernel said about this change. */
  write(text: string): Promise<void> {
    if (text === "") return Promise.resolve();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ text, resolve, reject });
    this.#running ??= this.#drain();
    return promise;
  }

  /** Resolves when nothing waits any more, whether or not it succeeded. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #drain(): Promise<void> {
    // One turn of the loop lets the changes of the same moment come together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      // oxlint-disable-next-line no-await-in-loop -- one transaction after the other is the point
      await this.#commit(batch);
    }
    this.#running = undefined;
  }

  async #commit(batch: readonly Change[]): Promise<void> {
    try {
      await this.#apply(batch.map((change) => change.text).join(""));
      for (const change of batch) change.resolve();
    } catch (error) {
      if (batch.length === 1) return batch[0]?.reject(error);
      // oxlint-disable-next-line no-await-in-loop -- order is kept
      for (const change of batch) await this.#commit([change]);
    }
  }
}
