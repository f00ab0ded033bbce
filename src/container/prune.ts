/** POST /containers/prune: removes what does not run, as far as the filters say. */
import { nowNs, parseInstant } from "#lib/clock.ts";
import { writtenBytes } from "#container/archive.ts";
import type { Engine } from "#container/engine.ts";
import { removeContainer } from "#container/remove.ts";
import { type Filters, matchesLabels, singleFilter } from "#spec/docker/filters.ts";
import { newBatch } from "#metadata/trash.ts";
import { parseTimestamp } from "#spec/docker/timestamp.ts";

export const pruneContainers = async (
  engine: Engine,
  filters: Filters,
  { batch = newBatch() }: { readonly batch?: string } = {},
): Promise<{ ContainersDeleted: string[]; SpaceReclaimed: number }> => {
  const untilText = singleFilter(filters, "until");
  const untilNs = untilText === undefined ? undefined : parseTimestamp(untilText, nowNs());
  const candidates = engine.states
    .list()
    .filter((record) => ["created", "exited", "dead"].includes(record.state.status))
    .filter((record) => matchesLabels(filters, record.config.Labels))
    .filter((record) => untilNs === undefined || parseInstant(record.createdAt) < untilNs);
  const ContainersDeleted: string[] = [];
  let SpaceReclaimed = 0;
  for (const record of candidates) {
    if (engine.states.find(record.id)?.state.status === "running") continue;
    const sizeBytes = await writtenBytes(engine, record.id);
    await removeContainer(engine, record.id, { force: false, volumes: false, batch });
    ContainersDeleted.push(record.id);
    SpaceReclaimed += sizeBytes;
  }
  return { ContainersDeleted, SpaceReclaimed };
};
