/** The snapshot room's tree functions in the shape that the container room declares. */
import type { ArchivesForContainers } from "#container/dependencies.ts";
import type { Kernel } from "#kernel/kernel.ts";
import { readArchive, statPath, writeArchive } from "#snapshot/archive.ts";
import { exportTree } from "#snapshot/export.ts";
import { streamOf } from "#snapshot/tree-pack.ts";

export const archivesOf = (kernel: Kernel): ArchivesForContainers => ({
  statPath: (rootfs, path) => statPath(kernel, rootfs, path),
  readArchive: (rootfs, path) => readArchive(kernel, rootfs, path).tar,
  writeArchive: (rootfs, path, tar, options) => writeArchive(kernel, rootfs, path, tar, options),
  exportTree: (rootfs) => streamOf(exportTree(kernel, rootfs)),
});
