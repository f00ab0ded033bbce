/** /etc/mtab, which older programs (Java 8 among them) read to learn what is mounted; images are without it. */
import { constants, lstatSync, readlinkSync, symlinkSync } from "node:fs";
import { hasCode, NaruError } from "#lib/errors.ts";
import type { FileKernel } from "#kernel/kernel.ts";

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY;

const TARGET = "/proc/mounts";

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
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) symlinkSync(TARGET, path);
  } finally {
    kernel.close(directory);
  }
};

/** What the table takes in a container's writable layer: naru wrote it, not the container. */
export const mountTableBytes = (kernel: FileKernel, upper: string): number => {
  let directory: number;
  try {
    directory = kernel.openInRoot(upper, "/etc", DIRECTORY);
  } catch (error) {
    // Nothing was written below /etc, or the container has put something else there.
    if (error instanceof NaruError) return 0;
    throw error;
  }
  try {
    const path = `${kernel.fdPath(directory)}/mtab`;
    const isLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
    return isLink && readlinkSync(path) === TARGET ? TARGET.length : 0;
  } finally {
    kernel.close(directory);
  }
};
