/** GET /containers/json. */
import type { Call } from "#api/docker/call.ts";
import {
  type ContainerFilter,
  CONTAINER_FILTERS,
  createContainerFilter,
} from "#api/docker/container/list-filter.ts";
import { linkNames } from "#api/docker/container/link-names.ts";
import { SummaryCache, type SummaryItem } from "#api/docker/container/summary.ts";
import type { DockerBackend } from "#api/docker/backend.ts";
import { get, type Route } from "#api/docker/route.ts";
import { type ContainerRecord, isLive } from "#container/container.ts";
import { nowNs } from "#lib/clock.ts";

const isUp = (record: ContainerRecord): boolean =>
  isLive(record.state) || record.state.status === "restarting";

interface Selection {
  readonly isAll: boolean;
  readonly limit: number;
  readonly filter: ContainerFilter | undefined;
}

/** Newest first; "before" and "since" cut the list at a container, which is itself left out. */
const select = (records: readonly ContainerRecord[], selection: Selection): ContainerRecord[] => {
  const { filter, limit } = selection;
  const isAll = selection.isAll || limit > 0 || filter?.isAll === true;
  const selected: ContainerRecord[] = [];
  let isReached = filter?.before === undefined;
  for (const record of records) {
    if (record.id === filter?.since?.id) break;
    if (isReached && (isAll || isUp(record)) && (filter === undefined || filter.matches(record))) {
      selected.push(record);
      if (selected.length === limit) break;
    }
    if (record.id === filter?.before?.id) isReached = true;
  }
  return selected;
};

/** Looks each image's name up once a request. */
const imageMoves = (images: DockerBackend["images"]): ((record: ContainerRecord) => boolean) => {
  const ids = new Map<string, string | undefined>();
  let lastName: string | undefined;
  let lastId: string | undefined;
  return ({ config, imageId }) => {
    const name = config.Image;
    if (name === imageId) return false;
    if (name !== lastName) {
      if (!ids.has(name)) ids.set(name, images.find(name)?.id);
      lastName = name;
      lastId = ids.get(name);
    }
    return lastId !== imageId;
  };
};

const isPlain = (call: Call): boolean => {
  const filters = call.query.text("filters");
  return filters === "" || filters === "{}";
};

const caches = new WeakMap<DockerBackend, SummaryCache>();

/** The list as JSON; also part of GET /system/df. */
export const listBytes = async (
  backend: DockerBackend,
  records: readonly ContainerRecord[],
  options: { readonly minor: number; readonly hasSizes: boolean },
): Promise<Buffer> => {
  const isMoved = imageMoves(backend.images);
  const names = linkNames(backend.containers.list());
  const items: SummaryItem[] = [];
  for (const record of records) {
    const item = { record, isImageMoved: isMoved(record), linkNames: names.get(record.id) };
    items.push(
      options.hasSizes ? { ...item, sizes: await backend.containers.sizes(record.id) } : item,
    );
  }
  let cache = caches.get(backend);
  if (cache === undefined) {
    cache = new SummaryCache();
    caches.set(backend, cache);
  }
  return cache.list(items, { minor: options.minor, nowMs: Number(nowNs() / 1_000_000n) });
};

const list = async (call: Call): Promise<void> => {
  const { backend, query } = call;
  const filter = isPlain(call)
    ? undefined
    : createContainerFilter(query.filters(CONTAINER_FILTERS), backend);
  const records = select(backend.containers.list(), {
    isAll: query.flag("all"),
    limit: query.integer("limit") ?? 0,
    filter,
  });
  const options = { minor: call.minor, hasSizes: query.flag("size") };
  call.jsonBytes(200, await listBytes(backend, records, options));
};

export const listRoutes: readonly Route[] = [get("/containers/json", list)];
