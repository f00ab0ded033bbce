/** Quotas: what the repositories of a pattern may hold together. */
import { monotonicMs } from "#lib/clock.ts";
import type { RegistryRows } from "#metadata/registry/rows.ts";
import type { QuotaRule, Rules } from "#registry/rules.ts";
import type { Digest } from "#spec/image/digest.ts";
import { distributionError } from "#spec/distribution/errors.ts";

/** SQLite's GLOB knows "*" alone, which crosses "/": close enough only for patterns that end in it. */
const sqlGlobOf = (pattern: string): string => pattern.replaceAll("**", "*").replaceAll("[", "[[]");

/** Sums over many rows are not made anew for every request: additions are counted on, deletions show later. */
const REMEMBER_MS = 5000;

export interface Coming extends Disposable {
  keep(): void;
}

interface Sum {
  usedBytes: number;
  readonly atMs: number;
}

export class Quotas {
  readonly #rules: Rules;
  readonly #rows: RegistryRows;
  readonly #sums = new Map<QuotaRule, Sum>();

  constructor(rules: Rules, rows: RegistryRows) {
    this.#rules = rules;
    this.#rows = rows;
  }

  #sum(rule: QuotaRule): Sum {
    const known = this.#sums.get(rule);
    if (known !== undefined && monotonicMs() - known.atMs < REMEMBER_MS) return known;
    const usedBytes = this.#rows.blobs.usedBytes(sqlGlobOf(rule.repositories));
    const sum = { usedBytes, atMs: monotonicMs() };
    this.#sums.set(rule, sum);
    return sum;
  }

  /** Throws DENIED when `addedBytes` more would be too many. A `digest` that is counted already adds nothing. */
  check(repository: string, addedBytes: number, digest?: Digest): void {
    for (const rule of this.#rules.quotasOf(repository)) {
      const { usedBytes } = this.#sum(rule);
      if (usedBytes + addedBytes <= rule.maxBytes) continue;
      if (digest !== undefined && this.#isCounted(rule, digest)) continue;
      throw distributionError(
        "DENIED",
        `the quota of "${rule.repositories}" is ${rule.maxBytes} bytes, ${usedBytes} are used and ${addedBytes} more do not fit: delete images or ask for a larger quota`,
      );
    }
  }

  #isCounted(rule: QuotaRule, digest: Digest): boolean {
    return this.#rows.blobs.isHeld(digest, sqlGlobOf(rule.repositories));
  }

  /**
   * A blob comes to the repository: called before its row is written, so that what comes meanwhile finds it counted.
   * What is disposed of without `keep` has not come after all.
   */
  coming(repository: string, sizeBytes: number, digest: Digest): Coming {
    const sums = this.#rules
      .quotasOf(repository)
      .filter((rule) => !this.#isCounted(rule, digest))
      .map((rule) => this.#sum(rule));
    for (const sum of sums) sum.usedBytes += sizeBytes;
    let isKept = false;
    return {
      keep: () => void (isKept = true),
      [Symbol.dispose]: () => {
        if (!isKept) for (const sum of sums) sum.usedBytes -= sizeBytes;
      },
    };
  }
}
