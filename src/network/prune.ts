/** Which networks `network prune` looks at. Pure but for the clock. */
import { nowNs, parseInstant } from "#lib/clock.ts";
import type { NetworkRecord } from "#network/network.ts";
import { isPredefined } from "#network/records.ts";
import { type Filters, matchesLabels } from "#spec/docker/filters.ts";
import { parseTimestamp } from "#spec/docker/timestamp.ts";

/** User-defined ones that the filters `label`, `label!` and `until` let through; settings stay. */
export const selectPrunable = (
  records: readonly NetworkRecord[],
  filters: Filters,
): NetworkRecord[] => {
  const untilText = filters.get("until")?.[0];
  const untilNs = untilText === undefined ? undefined : parseTimestamp(untilText, nowNs());
  return records.filter(
    (record) =>
      !isPredefined(record) &&
      record.isConfigOnly !== true &&
      matchesLabels(filters, record.labels) &&
      (untilNs === undefined || parseInstant(record.createdAt) < untilNs),
  );
};
