/** The database of a data root: the rooms' tables, in the order they were released. */
import { type Database, openDatabase } from "#database/database.ts";
import { BUILD_CACHE_MIGRATIONS } from "#metadata/build-cache.ts";
import { BUILD_HISTORY_MIGRATIONS } from "#metadata/build-history.ts";
import { CONTAINER_MIGRATIONS } from "#metadata/containers.ts";
import { IMAGE_MIGRATIONS } from "#metadata/images.ts";
import { LEASE_MIGRATIONS } from "#metadata/leases.ts";
import { NETWORK_MIGRATIONS } from "#metadata/networks.ts";
import { TRASH_MIGRATIONS } from "#metadata/trash.ts";
import { VOLUME_MIGRATIONS } from "#metadata/volumes.ts";

export const databasePathOf = (dataRoot: string): string => `${dataRoot}/naru.db`;

/** `path` may be ":memory:". */
export const openDaemonDatabase = (path: string): Database => {
  const migrations = [
    ...BUILD_CACHE_MIGRATIONS,
    ...BUILD_HISTORY_MIGRATIONS,
    ...CONTAINER_MIGRATIONS,
    ...IMAGE_MIGRATIONS,
    ...LEASE_MIGRATIONS,
    ...NETWORK_MIGRATIONS,
    ...TRASH_MIGRATIONS,
    ...VOLUME_MIGRATIONS,
  ].toSorted((a, b) => a.id - b.id);
  return openDatabase(path, migrations);
};
