/** How much a writable layer holds. */
import type { FileKernel } from "#kernel/kernel.ts";
import type { Usage } from "#snapshot/snapshot.ts";
import { DIRECTORY_FLAGS, type TreeNode, inSteps, walkTree } from "#snapshot/tree-walk.ts";
import { isDirectory, isWhiteout } from "#snapshot/whiteout.ts";

/** Apparent sizes of all but directories, hard links counted once, as Docker counts SizeRw. */
export const treeUsage = async (
  kernel: FileKernel,
  root: string,
  signal?: AbortSignal,
): Promise<Usage> => {
  const rootFd = kernel.openInRoot(root, ".", DIRECTORY_FLAGS);
  const seen = new Set<bigint>();
  let sizeBytes = 0;
  let files = 0;
  try {
    const count = ({ stat }: TreeNode): void => {
      if (isDirectory(stat) || isWhiteout(stat)) return;
      if (stat.nlink > 1) {
        if (seen.has(stat.ino)) return;
        seen.add(stat.ino);
      }
      files += 1;
      sizeBytes += stat.size;
    };
    await inSteps(walkTree(kernel, rootFd), count, signal);
  } finally {
    kernel.close(rootFd);
  }
  return { sizeBytes, files };
};
