/** Deletes a tree by descriptors, so that a symlink swapped in meanwhile cannot lead elsewhere. */
import { constants } from "node:fs";
import type { FileKernel } from "#kernel/kernel.ts";
import { isDirectory } from "#snapshot/whiteout.ts";

/** Removes `name` in the directory, with everything below it. Throws not_found when it is not there. */
export const removeTreeAt = (kernel: FileKernel, directoryFd: number, name: string): void => {
  if (!isDirectory(kernel.statAt(directoryFd, name))) {
    kernel.unlinkAt(directoryFd, name, false);
    return;
  }
  const fd = kernel.openAt(directoryFd, name, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    for (const child of kernel.readDir(fd)) removeTreeAt(kernel, fd, child);
  } finally {
    kernel.close(fd);
  }
  kernel.unlinkAt(directoryFd, name, true);
};
