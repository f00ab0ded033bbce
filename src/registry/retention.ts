/** Which tags a set of rules keeps: pure. A tag that no rule looks at stays. */
import type { TagRow } from "#metadata/registry/tags.ts";
import { formatInstant } from "#lib/clock.ts";
import { type RetentionRule, compileGlob } from "#registry/rules.ts";

export interface RetentionVerdict {
  readonly tag: string;
  readonly isKept: boolean;
  /** For people: which rule, and why. */
  readonly reason: string;
}

const DAY_NS = 86_400_000_000_000n;

const newestFirst = (a: TagRow, b: TagRow): number =>
  a.taggedAt === b.taggedAt ? (a.name < b.name ? -1 : 1) : a.taggedAt < b.taggedAt ? 1 : -1;

/** Why `rule` keeps the tag that is number `rank` (from 0) of its tags; undefined: it does not. */
const reasonToKeep = (
  rule: RetentionRule,
  tag: TagRow,
  rank: number,
  nowNs: bigint,
): string | undefined => {
  if (rule.keepLast !== undefined && rank < rule.keepLast) {
    return `one of the last ${rule.keepLast} of "${rule.tags}"`;
  }
  if (rule.keepDays !== undefined) {
    const cutoff = formatInstant(nowNs - BigInt(Math.trunc(rule.keepDays * 24)) * (DAY_NS / 24n));
    if (tag.taggedAt >= cutoff) return `not older than ${rule.keepDays} days`;
  }
  const pattern = rule.keepTags?.find((keep) => compileGlob(keep).test(tag.name));
  return pattern === undefined ? undefined : `matches "${pattern}"`;
};

/**
 * The verdict on every tag of one repository. A tag stays when any rule that looks at it keeps it; one that several
 * rules look at and none keeps goes.
 */
export const planRetention = (
  repository: string,
  tags: readonly TagRow[],
  rules: readonly RetentionRule[],
  nowNs: bigint,
): readonly RetentionVerdict[] => {
  const verdicts = new Map<string, RetentionVerdict>();
  for (const rule of rules) {
    if (!compileGlob(rule.repositories).test(repository)) continue;
    const glob = compileGlob(rule.tags);
    const looked = tags.filter((tag) => glob.test(tag.name)).toSorted(newestFirst);
    for (const [rank, tag] of looked.entries()) {
      if (verdicts.get(tag.name)?.isKept === true) continue;
      const keep = reasonToKeep(rule, tag, rank, nowNs);
      verdicts.set(tag.name, {
        tag: tag.name,
        isKept: keep !== undefined,
        reason: keep ?? `nothing in the rule for "${rule.repositories}", "${rule.tags}" keeps it`,
      });
    }
  }
  return tags.map(
    ({ name }) => verdicts.get(name) ?? { tag: name, isKept: true, reason: "no rule looks at it" },
  );
};
