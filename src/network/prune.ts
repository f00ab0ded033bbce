/** Which networks `network prune` looks at. Pure but for the clock. */
import { nowNs, parseInstant } from "#lib/clock.ts";
import type { Endpoint, NetworkRecord } from "#network/network.ts";
import { isPredefined } from "#network/records.ts";
import { type Filters, matchesLabels, singleFilter } from "#spec/docker/filters.ts";
import { parseTimestamp } from "#spec/docker/timestamp.ts";

/** User-defined ones that the filters `label`, `label!` and `until` let through; settings stay. */
export const selectPrunable = (
  records: readonly NetworkRecord[],
  filters: Filters,
): NetworkRecord[] => {
  const untilText = singleFilter(filters, "until");
  const untilNs = untilText === undefined ? undefined : parseTimestamp(untilText, nowNs());
  return records.filter(
    (record) =>
      !isPredefined(record) &&
      record.isConfigOnly !== true &&
      matchesLabels(filters, record.labels) &&
      (untilNs === undefined || parseInstant(record.createdAt) < untilNs),
  );
};

/** Why a network cannot go, in Docker's words. */
export const whyNeeded = (
  record: NetworkRecord,
  all: readonly NetworkRecord[],
  endpoints: readonly { readonly containerId: string; readonly endpoint: Endpoint }[],
): string | undefined => {
  const users = all.filter((other) => other.configFrom === record.name);
  if (record.isConfigOnly === true && users.length > 0) {
    return `configuration network "${record.name}" is in use by "${users[0]?.name ?? ""}"`;
  }
  if (endpoints.length === 0) return undefined;
  const list = endpoints.map(
    ({ containerId, endpoint }) =>
      `name:"${endpoint.names[0] ?? ""}" id:"${containerId.slice(0, 12)}"`,
  );
  return `network ${record.name} has active endpoints (${list.join(", ")})`;
};
