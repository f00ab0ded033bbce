/** Names that `--link` gives: "/web/db" is the container that "web" calls "db" (moby daemon/links.go, registerLink). */
import type { ContainerRecord } from "#container/container.ts";

/** By the id of the container that has them; no entry for most. */
export const linkNames = (
  records: readonly ContainerRecord[],
): ReadonlyMap<string, readonly string[]> => {
  const names = new Map<string, string[]>();
  for (const { name, links = [] } of records) {
    for (const { alias, containerId } of links) {
      names.set(containerId, [...(names.get(containerId) ?? []), `/${name}/${alias}`]);
    }
  }
  return names;
};
