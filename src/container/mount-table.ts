/** /etc/mtab, which older programs (Java 8 among them) read to learn what is mounted; images are without it. */
import { constants, lstatSync, symlinkSync } from "node:fs";
import { hasCode } from "#lib/errors.ts";
import type { FileKernel } from "#kernel/kernel.ts";

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY;

/** What the image has there stays; an image without /etc goes without. */
export const ensureMountTable = (kernel: FileKernel, rootfs: string): void => {
  let directory: number;
  try {
    directory = kernel.openInRoot(rootfs, "/etc", DIRECTORY);
  } catch (error) {
    if (hasCode(error, "not_found")) return;
    throw error;
  }
  try {
    const path = `${kernel.fdPath(directory)}/mtab`;
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) symlinkSync("/proc/mounts", path);
  } finally {
    kernel.close(directory);
  }
};
