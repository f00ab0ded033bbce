/**
 * Files in and out of a container's tree, as `docker cp` needs them. `rootfs` is the mounted tree, or
 * /proc/PID/root of a running container (then volumes are seen too). Everything is looked up by the
 * kernel with the root as "/", so that symlinks a container plants, even meanwhile, lead nowhere else.
 */
import { constants } from "node:fs";
import { formatInstant } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import { TarParser } from "#lib/tar/parser.ts";
import type { FileKernel, FileStat } from "#kernel/kernel.ts";
import {
  type ContainerPath,
  locate,
  parseContainerPath,
  pathError,
  resolveLinks,
} from "#snapshot/container-path.ts";
import { decompress } from "#snapshot/decompress.ts";
import { errnoOf } from "#snapshot/directory-cache.ts";
import { TreePacker, streamOf } from "#snapshot/tree-pack.ts";
import { DIRECTORY_FLAGS, walkTree } from "#snapshot/tree-walk.ts";
import { TreeWriter } from "#snapshot/tree-writer.ts";
import {
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFSOCK,
  isDirectory,
} from "#snapshot/whiteout.ts";
import type { PathStat } from "#spec/docker/container.ts";

/** Type bits of Go's os.FileMode, which the API shows. */
const GO_TYPES: ReadonlyMap<number, number> = new Map([
  [S_IFDIR, 2 ** 31],
  [S_IFLNK, 2 ** 27],
  [S_IFBLK, 2 ** 26],
  [S_IFCHR, 2 ** 26 + 2 ** 21],
  [S_IFIFO, 2 ** 25],
  [S_IFSOCK, 2 ** 24],
]);

/** st_mode as Go's os.FileMode. */
export const goFileMode = (mode: number): number =>
  (mode & 0o777) +
  (GO_TYPES.get(mode & S_IFMT) ?? 0) +
  ((mode & 0o4000) === 0 ? 0 : 2 ** 23) +
  ((mode & 0o2000) === 0 ? 0 : 2 ** 22) +
  ((mode & 0o1000) === 0 ? 0 : 2 ** 20);

const describe = (
  kernel: FileKernel,
  rootFd: number,
  path: ContainerPath,
  stat: FileStat,
): PathStat => {
  const { seconds, nanoseconds } = stat.mtime;
  const isLink = (stat.mode & S_IFMT) === S_IFLNK;
  return {
    name: path.base,
    size: stat.size,
    mode: goFileMode(stat.mode),
    mtime: formatInstant(BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds)),
    linkTarget: isLink ? resolveLinks(kernel, rootFd, path.absolute) : "",
  };
};

/** Throws not_found in Docker's words. */
export const statPath = (kernel: FileKernel, rootfs: string, path: string): PathStat => {
  const parsed = parseContainerPath(path);
  const rootFd = kernel.openInRoot(rootfs, ".", DIRECTORY_FLAGS);
  try {
    using found = locate(kernel, rootFd, parsed);
    return describe(kernel, rootFd, parsed, found.stat);
  } catch (error) {
    throw pathError(path, error);
  } finally {
    kernel.close(rootFd);
  }
};

function* packPath(
  kernel: FileKernel,
  rootFd: number,
  path: ContainerPath,
): Generator<Uint8Array, void> {
  using found = locate(kernel, rootFd, path);
  const packer = new TreePacker(kernel);
  if (!isDirectory(found.stat) || found.parentFd === undefined) {
    if (found.ownFd === undefined) {
      yield* packer.node(path.base, found.parentFd ?? rootFd, found.name, found.stat);
    } else {
      yield* packDirectory(kernel, packer, path.base, found.ownFd);
    }
  } else {
    const fd = kernel.openAt(found.parentFd, found.name, DIRECTORY_FLAGS);
    try {
      yield* packDirectory(kernel, packer, path.base, fd);
    } finally {
      kernel.close(fd);
    }
  }
  yield* packer.end();
}

function* packDirectory(
  kernel: FileKernel,
  packer: TreePacker,
  base: string,
  fd: number,
): Generator<Uint8Array, void> {
  const prefix = base === "/" ? "" : base;
  yield* packer.directory(`${prefix}/`, fd);
  for (const node of walkTree(kernel, fd)) {
    yield* packer.node(`${prefix}/${node.path}`, node.directoryFd, node.name, node.stat);
  }
}

/**
 * A tar whose names start with the last component of `path`. Throws not_found at once; the rest is
 * read as the stream is read. The stream must be read to its end or cancelled.
 */
export const readArchive = (
  kernel: FileKernel,
  rootfs: string,
  path: string,
): { stat: PathStat; tar: ReadableStream<Uint8Array> } => {
  const parsed = parseContainerPath(path);
  const stat = statPath(kernel, rootfs, path);
  const chunks = function* (): Generator<Uint8Array, void> {
    const rootFd = kernel.openInRoot(rootfs, ".", DIRECTORY_FLAGS);
    try {
      yield* packPath(kernel, rootFd, parsed);
    } catch (error) {
      throw pathError(path, error);
    } finally {
      kernel.close(rootFd);
    }
  };
  return { stat, tar: streamOf(chunks()) };
};

export interface WriteArchiveOptions {
  /** Refuse to replace a directory by something else, and the other way round. */
  readonly noOverwriteDirNonDir: boolean;
  /** Owner of everything written, instead of what the archive says. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  readonly signal?: AbortSignal;
}

const checkTarget = (kernel: FileKernel, rootFd: number, path: string, absolute: string): void => {
  try {
    kernel.close(kernel.openInRoot(rootFd, absolute, constants.O_DIRECTORY | constants.O_RDONLY));
  } catch (error) {
    if (errnoOf(error) === "ENOTDIR") {
      throw new NaruError("invalid_argument", "extraction point is not a directory", {
        cause: error,
        details: { path },
      });
    }
    throw pathError(path, error);
  }
};

/**
 * Unpacks a tar (plain or compressed) into the directory `path`, which must exist. Throws not_found,
 * invalid_argument (not a directory, bad archive, refused overwrite). What was written before an error
 * stays.
 */
export const writeArchive = async (
  kernel: FileKernel,
  rootfs: string,
  path: string,
  tar: AsyncIterable<Uint8Array>,
  options: WriteArchiveOptions,
): Promise<void> => {
  const { absolute, relative } = parseContainerPath(path);
  const { noOverwriteDirNonDir, owner, signal } = options;
  const rootFd = kernel.openInRoot(rootfs, ".", DIRECTORY_FLAGS);
  try {
    checkTarget(kernel, rootFd, path, absolute);
    using writer = new TreeWriter({
      kernel,
      rootFd,
      isLayer: false,
      base: relative,
      noOverwriteDirNonDir,
      ...(owner === undefined ? {} : { owner }),
    });
    const parser = new TarParser(writer);
    for await (const chunk of decompress(tar)) {
      signal?.throwIfAborted();
      parser.push(chunk);
    }
    parser.end();
    writer.finish();
  } finally {
    kernel.close(rootFd);
  }
};
