/** Applies retention rules to every repository, one a turn. Immutable tags stay whatever the rules say. */
import { nowNs } from "#lib/clock.ts";
import type { LocalDependencies } from "#registry/local.ts";
import { planRetention } from "#registry/retention.ts";

export interface RetentionEntry {
  readonly repository: string;
  readonly tag: string;
  readonly reason: string;
}

export interface RetentionReport {
  /** Removed, or with `isDryRun` what would be. */
  readonly removed: readonly RetentionEntry[];
  readonly keptCount: number;
}

const PAGE = 100;

const breathe = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

const retainIn = (
  { rows, rules, cache }: LocalDependencies,
  repository: string,
  isDryRun: boolean,
): { removed: RetentionEntry[]; keptCount: number } => {
  const id = rows.repositories.idOf(repository);
  if (id === undefined) return { removed: [], keptCount: 0 };
  const verdicts = planRetention(repository, rows.tags.all(id), rules.retention, nowNs());
  const removed = verdicts.filter(
    ({ tag, isKept }) => !isKept && !rules.isImmutable(repository, tag),
  );
  if (!isDryRun) {
    rows.transaction(() => removed.forEach(({ tag }) => rows.tags.remove(id, tag)));
    for (const { tag } of removed) cache.drop(repository, tag);
  }
  return {
    removed: removed.map(({ tag, reason }) => ({ repository, tag, reason })),
    keptCount: verdicts.length - removed.length,
  };
};

export const retain = async (
  deps: LocalDependencies,
  { isDryRun }: { readonly isDryRun: boolean },
): Promise<RetentionReport> => {
  const removed: RetentionEntry[] = [];
  let keptCount = 0;
  if (deps.rules.retention.length === 0) return { removed, keptCount };
  for (let last = ""; ;) {
    const names = deps.rows.repositories.list(last, PAGE);
    for (const name of names) {
      const result = retainIn(deps, name, isDryRun);
      removed.push(...result.removed);
      keptCount += result.keptCount;
      await breathe();
    }
    last = names.at(-1) ?? "";
    if (names.length < PAGE) return { removed, keptCount };
  }
};
