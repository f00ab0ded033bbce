/** Quotas: what the repositories of a pattern may hold together. */
import type { LocalDependencies } from "#registry/local.ts";
import { distributionError } from "#spec/distribution/errors.ts";

/** SQLite's GLOB knows "*" alone, which crosses "/": close enough only for patterns that end in it. */
const sqlGlobOf = (pattern: string): string => pattern.replaceAll("**", "*").replaceAll("[", "[[]");

/** Throws DENIED when `addedBytes` more would be too many. A blob that is here already may count twice until then. */
export const checkQuota = (
  { rows, rules }: Pick<LocalDependencies, "rows" | "rules">,
  repository: string,
  addedBytes: number,
): void => {
  for (const { repositories, maxBytes } of rules.quotasOf(repository)) {
    const usedBytes = rows.blobs.usedBytes(sqlGlobOf(repositories));
    if (usedBytes + addedBytes <= maxBytes) continue;
    throw distributionError(
      "DENIED",
      `the quota of "${repositories}" is ${maxBytes} bytes, ${usedBytes} are used and ${addedBytes} more do not fit: delete images or ask for a larger quota`,
    );
  }
};
