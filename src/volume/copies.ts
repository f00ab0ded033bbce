/** A volume's tree copied, packed and unpacked. Bulk work is done by children: cp(1) and tar(1). */
import { constants } from "node:fs";
import { createZstdCompress } from "node:zlib";
import { Readable } from "node:stream";
import { dirname, basename } from "node:path";
import { NaruError } from "#lib/errors.ts";
import { TarParser } from "#lib/tar/parser.ts";
import type { FileKernel } from "#kernel/kernel.ts";
import { decompress } from "#snapshot/decompress.ts";
import { TreeWriter } from "#snapshot/tree-writer.ts";

const ENVIRONMENT = { LC_ALL: "C", PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };

/** "Some files differ" of tar(1): a file changed while it was read. */
const CHANGED_STATUS = 1;

const failed = (what: string, complaint: string): NaruError =>
  new NaruError("internal", `${what}: ${complaint.trim().split("\n").slice(-3).join("; ")}`);

/**
 * Everything in `from`, and the directory's own owner, mode and times, into the directory `to`. Blocks
 * are shared where the file system can (reflink), copied in the kernel where not; holes stay holes.
 */
export const copyTree = async (from: string, to: string, signal?: AbortSignal): Promise<void> => {
  const command = ["cp", "-a", "--reflink=auto", "--sparse=auto", "--", `${from}/.`, to];
  const child = Bun.spawn(command, {
    stdout: "ignore",
    stderr: "pipe",
    env: ENVIRONMENT,
    ...(signal === undefined ? {} : { signal }),
  });
  const [complaint, status] = await Promise.all([child.stderr.text(), child.exited]);
  signal?.throwIfAborted();
  if (status !== 0) throw failed(`the volume's files could not be copied`, complaint);
};

/** All that was written to the file system of `path` so far is on disk. */
export const flushTree = async (path: string): Promise<void> => {
  const child = Bun.spawn(["sync", "--file-system", path], { stderr: "pipe", env: ENVIRONMENT });
  const [complaint, status] = await Promise.all([child.stderr.text(), child.exited]);
  if (status !== 0) throw failed("the volume's files could not be brought to disk", complaint);
};

async function* byRuntime(tar: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const transform = createZstdCompress();
  const source = Readable.from(tar);
  source.on("error", (error) => transform.destroy(error));
  source.pipe(transform);
  try {
    for await (const chunk of transform) yield chunk as Uint8Array;
  } finally {
    transform.destroy();
    source.destroy();
  }
}

/** Owners, modes, times, holes, attributes; other file systems mounted inside stay out. */
const TAR_OPTIONS = [
  "--create",
  "--file=-",
  "--format=posix",
  "--numeric-owner",
  "--sparse",
  "--xattrs",
  "--xattrs-include=*",
  "--one-file-system",
] as const;

export interface PackOptions {
  readonly isCompressed: boolean;
  /** Nobody writes meanwhile: a file that changes while it is read is an error then. */
  readonly isQuiet: boolean;
  readonly signal?: AbortSignal;
}

async function* runTar(
  path: string,
  options: PackOptions,
  compressor: readonly string[],
): AsyncGenerator<Uint8Array, void> {
  const child = Bun.spawn(["tar", ...TAR_OPTIONS, ...compressor, "--directory", path, "."], {
    stdout: "pipe",
    stderr: "pipe",
    env: ENVIRONMENT,
  });
  const complaint = child.stderr.text();
  try {
    for await (const chunk of child.stdout) {
      options.signal?.throwIfAborted();
      yield chunk;
    }
    const status = await child.exited;
    if (status === 0 || (status === CHANGED_STATUS && !options.isQuiet)) return;
    throw failed("the volume's files could not be packed", await complaint);
  } finally {
    child.kill();
    await child.exited;
  }
}

/** The tree as a tar with owners, modes, times, links, devices, holes and extended attributes. */
export const packTree = (path: string, options: PackOptions): AsyncIterable<Uint8Array> => {
  if (!options.isCompressed) return runTar(path, options, []);
  if (Bun.which("zstd") === null) return byRuntime(runTar(path, options, []));
  return runTar(path, options, ["--use-compress-program=zstd -q"]);
};

/**
 * Unpacks a tar (plain or compressed) into the directory `path`; an entry "./" gives it its owner and
 * mode. An archive without its end mark is data_loss: it may have been cut between two files. Nothing in the archive or in the tree leads out of it. What was written before an error stays.
 */
export const unpackTree = async (
  kernel: FileKernel,
  path: string,
  tar: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<void> => {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY;
  using fds = new DisposableStack();
  const open = (directory: string): number =>
    fds.adopt(kernel.openInRoot(directory, ".", flags), (fd) => kernel.close(fd));
  using writer = new TreeWriter({
    kernel,
    rootFd: open(path),
    root: { parentFd: open(dirname(path)), name: basename(path) },
    isLayer: false,
  });
  const parser = new TarParser(writer);
  for await (const chunk of decompress(tar)) {
    signal?.throwIfAborted();
    parser.push(chunk);
  }
  if (!parser.isEnded) {
    throw new NaruError(
      "data_loss",
      "the archive is cut short: it has no end mark, so files may be missing",
    );
  }
  writer.finish();
};
