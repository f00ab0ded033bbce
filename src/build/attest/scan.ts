/** What software a result holds: its package managers' databases, read. */
import { readFileSync } from "node:fs";
import { type SoftwarePackage, readerOf } from "#build/attest/packages.ts";
import type { BuildDependencies } from "#build/dependencies.ts";
import { hasCode } from "#lib/errors.ts";
import { DIRECTORY_FLAGS, walkTree } from "#snapshot/tree-walk.ts";
import { S_IFMT, S_IFREG } from "#snapshot/whiteout.ts";
import type { Digest } from "#spec/image/digest.ts";

export interface Inventory {
  readonly packages: readonly SoftwarePackage[];
  /** ID of os-release(5); "" for none. */
  readonly distribution: string;
}

const FILE_MAX_BYTES = 64 * 1024 * 1024;
const STEP_ENTRIES = 256;
const O_RDONLY = 0;

const readInside = (
  { kernel }: Pick<BuildDependencies, "kernel">,
  root: string,
  path: string,
): string | undefined => {
  try {
    const fd = kernel.openInRoot(root, path, O_RDONLY);
    try {
      return readFileSync(kernel.fdPath(fd), "utf8");
    } finally {
      kernel.close(fd);
    }
  } catch (error) {
    if (hasCode(error, "not_found")) return undefined;
    throw error;
  }
};

const distributionOf = (text: string | undefined): string =>
  /^ID="?([a-z0-9._-]+)"?$/m.exec(text ?? "")?.[1] ?? "";

/** Sorted by kind, name, version, place. */
export const scanLayers = async (
  dependencies: Pick<BuildDependencies, "kernel" | "snapshots">,
  chainId: Digest | undefined,
  signal: AbortSignal,
): Promise<Inventory> => {
  const { kernel, snapshots } = dependencies;
  using view = snapshots.view(chainId);
  const found: SoftwarePackage[] = [];
  const rootFd = kernel.openInRoot(view.path, ".", DIRECTORY_FLAGS);
  try {
    let count = 0;
    for (const { path, name, directoryFd, stat } of walkTree(kernel, rootFd)) {
      count += 1;
      if (count % STEP_ENTRIES === 0) {
        signal.throwIfAborted();
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
      if ((stat.mode & S_IFMT) !== S_IFREG || stat.size > FILE_MAX_BYTES) continue;
      const read = readerOf(path);
      if (read === undefined) continue;
      const text = readFileSync(`${kernel.fdPath(directoryFd)}/${name}`, "utf8");
      found.push(...read(text, `/${path}`));
    }
  } finally {
    kernel.close(rootFd);
  }
  const keyOf = ({ kind, name, version, foundIn }: SoftwarePackage): string =>
    [kind, name, version, foundIn].join("\0");
  const packages = found.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  const text =
    readInside(dependencies, view.path, "etc/os-release") ??
    readInside(dependencies, view.path, "usr/lib/os-release");
  return { packages, distribution: distributionOf(text) };
};
