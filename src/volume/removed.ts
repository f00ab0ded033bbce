/** Volumes that were removed and can be brought back. */
import type { TrashRow, TrashSource } from "#metadata/trash.ts";
import { diskUsage } from "#volume/disk-usage.ts";
import type { VolumeStore } from "#volume/store.ts";

export const removedVolumes = (store: VolumeStore): TrashSource => ({
  kind: "volume",
  undo: async (row: TrashRow) => store.bringBack(row),
  purge: async (row: TrashRow) => store.purge(row),
  sizeBytes: (row: TrashRow) => diskUsage(store.keptAt(row.key)),
});
