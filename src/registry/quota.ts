/** Quotas: what the repositories of a pattern may hold together. */
import { monotonicMs } from "#lib/clock.ts";
import type { NaruError } from "#lib/errors.ts";
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

/** A rule under which something does not fit. */
export interface Shortage {
  readonly rule: QuotaRule;
  readonly usedBytes: number;
  readonly addedBytes: number;
  /** For queries by the rule's repositories. */
  readonly glob: string;
}

interface Sum {
  usedBytes: number;
  readonly atMs: number;
}

const refusal = ({ rule, usedBytes, addedBytes }: Shortage): NaruError =>
  distributionError(
    "DENIED",
    `the quota of "${rule.repositories}" is ${rule.maxBytes} bytes, ${usedBytes} are used and ${addedBytes} more do not fit: delete images or ask for a larger quota`,
  );

export class Quotas {
  readonly #rules: Rules;
  readonly #rows: RegistryRows;
  readonly #sums = new Map<QuotaRule, Sum>();
  /** Announced, and without a row yet. */
  readonly #coming = new Map<QuotaRule, number>();
  #evict: (shortage: Shortage) => number = () => 0;

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

  #used(rule: QuotaRule): number {
    return this.#sum(rule).usedBytes + (this.#coming.get(rule) ?? 0);
  }

  /** Who may make room, and tells how many bytes the rule counts less for it; 0: there is nothing that may go. */
  evictWith(evict: (shortage: Shortage) => number): void {
    this.#evict = evict;
  }

  #shortage(repository: string, addedBytes: number, digest?: Digest): Shortage | undefined {
    for (const rule of this.#rules.quotasOf(repository)) {
      const usedBytes = this.#used(rule);
      if (usedBytes + addedBytes <= rule.maxBytes) continue;
      if (digest !== undefined && this.#isCounted(rule, digest)) continue;
      return { rule, usedBytes, addedBytes, glob: sqlGlobOf(rule.repositories) };
    }
    return undefined;
  }

  /** Throws DENIED when `addedBytes` more would be too many, and no room can be made. A `digest` that is counted already adds nothing. */
  check(repository: string, addedBytes: number, digest?: Digest): void {
    for (;;) {
      const shortage = this.#shortage(repository, addedBytes, digest);
      if (shortage === undefined) return;
      if (addedBytes > shortage.rule.maxBytes || this.#evict(shortage) === 0) {
        throw refusal(shortage);
      }
      this.#sums.delete(shortage.rule);
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
    const rules = this.#rules.quotasOf(repository).filter((rule) => !this.#isCounted(rule, digest));
    const count = (rule: QuotaRule, addedBytes: number): void =>
      void this.#coming.set(rule, (this.#coming.get(rule) ?? 0) + addedBytes);
    for (const rule of rules) count(rule, sizeBytes);
    let isKept = false;
    return {
      keep: () => void (isKept = true),
      [Symbol.dispose]: () => {
        for (const rule of rules) {
          count(rule, -sizeBytes);
          const sum = this.#sums.get(rule);
          if (isKept && sum !== undefined) sum.usedBytes += sizeBytes;
        }
      },
    };
  }
}
