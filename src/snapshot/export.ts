/** A whole merged tree as one tar: `docker export`. The root directory itself is not an entry. */
import type { FileKernel } from "#kernel/kernel.ts";
import { TreePacker } from "#snapshot/tree-pack.ts";
import { DIRECTORY_FLAGS, walkTree } from "#snapshot/tree-walk.ts";

/** Chunks of the tar of `root`. Reads while it is asked; a changing tree gives a tar all the same. */
export function* exportTree(kernel: FileKernel, root: string): Generator<Uint8Array, void> {
  const rootFd = kernel.openInRoot(root, ".", DIRECTORY_FLAGS);
  try {
    const packer = new TreePacker(kernel);
    for (const node of walkTree(kernel, rootFd)) {
      yield* packer.node(node.path, node.directoryFd, node.name, node.stat);
    }
    yield* packer.end();
  } finally {
    kernel.close(rootFd);
  }
}
