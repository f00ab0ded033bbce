/**
 * The disk budget: when images, build cache and trash take more than they may, the least recently used goes, and it
 * is said what and why. `planRemovals` decides (pure); `DiskBudget` does it, one thing at a time, and looks again
 * after each: sizes of shared layers are known only then.
 */
import { toNaruError } from "#lib/errors.ts";
import type { Logger } from "#lib/log.ts";

export type BudgetKind = "trash" | "build cache" | "image";

export interface BudgetItem {
  readonly kind: BudgetKind;
  readonly id: string;
  readonly name: string;
  /** What its removal frees at least. */
  readonly sizeBytes: number;
  /** RFC 3339 */
  readonly lastUsedAt: string;
  /** Why it must stay. */
  readonly keptBecause?: string;
}

export interface DiskBudgetOptions {
  readonly budgetBytes: number;
  measure(): Promise<number>;
  items(): Promise<readonly BudgetItem[]>;
  /** For good. */
  remove(item: BudgetItem): Promise<void>;
  /** Once for each removal, after it. */
  readonly onRemoved: (item: BudgetItem, reason: string) => void;
  readonly log: Logger;
}

/** What was removed on purpose goes first, then whatever was not used for longest. */
const byWorth = (a: BudgetItem, b: BudgetItem): number => {
  const first = Number(a.kind !== "trash") - Number(b.kind !== "trash");
  if (first !== 0) return first;
  return a.lastUsedAt < b.lastUsedAt ? -1 : a.lastUsedAt > b.lastUsedAt ? 1 : 0;
};

/** In the order in which they go, until what is left fits; kept ones never. */
export const planRemovals = (
  items: readonly BudgetItem[],
  usedBytes: number,
  budgetBytes: number,
): BudgetItem[] => {
  const removals: BudgetItem[] = [];
  let left = usedBytes;
  for (const item of items.filter((one) => one.keptBecause === undefined).toSorted(byWorth)) {
    if (left <= budgetBytes) break;
    removals.push(item);
    left -= item.sizeBytes;
  }
  return removals;
};

export interface Enforced {
  readonly usedBytes: number;
  readonly removed: readonly BudgetItem[];
}

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(2)} GB`;

export class DiskBudget {
  readonly #options: DiskBudgetOptions;
  #running: Promise<Enforced> | undefined;
  #isFullTold = false;

  constructor(options: DiskBudgetOptions) {
    this.#options = options;
  }

  /** Calls at the same time share one run. What cannot be removed is passed over and logged. */
  enforce(): Promise<Enforced> {
    this.#running ??= this.#enforce().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #enforce(): Promise<Enforced> {
    const { budgetBytes, log } = this.#options;
    const removed: BudgetItem[] = [];
    const passed = new Set<string>();
    let usedBytes = await this.#options.measure();
    while (usedBytes > budgetBytes) {
      const items = (await this.#options.items()).filter(({ id }) => !passed.has(id));
      const [next] = planRemovals(items, usedBytes, budgetBytes);
      if (next === undefined) break;
      // Tried once: what did not go now will not go a moment later.
      passed.add(next.id);
      const reason = `${gigabytes(usedBytes)} are used, the disk budget is ${gigabytes(budgetBytes)}, and it was last used at ${next.lastUsedAt}`;
      if (await this.#remove(next, reason)) removed.push(next);
      usedBytes = await this.#options.measure();
    }
    this.#tellFull(usedBytes, log);
    return { usedBytes, removed };
  }

  async #remove(item: BudgetItem, reason: string): Promise<boolean> {
    const { log } = this.#options;
    try {
      await this.#options.remove(item);
    } catch (thrown) {
      const error = toNaruError(thrown);
      log.warn(`the disk budget could not remove ${item.kind} "${item.name}"`, {
        error: error.message,
      });
      return false;
    }
    const { kind, name, sizeBytes } = item;
    log.info(`the disk budget removed ${kind} "${name}"`, { sizeBytes, reason });
    this.#options.onRemoved(item, reason);
    return true;
  }

  /** Once, until it fits again. */
  #tellFull(usedBytes: number, log: Logger): void {
    const { budgetBytes } = this.#options;
    const isFull = usedBytes > budgetBytes;
    if (isFull && !this.#isFullTold) {
      log.warn("the disk budget is exceeded and everything that is left is in use or kept", {
        usedBytes,
        budgetBytes,
      });
    }
    this.#isFullTold = isFull;
  }
}
