/**
 * Unpacks one layer into a new directory, in overlay form. Blocks the thread for as long as it takes:
 * the daemon lets a child process do it (worker.ts).
 */
import { constants } from "node:fs";
import { dirname, basename } from "node:path";
import { NaruError } from "#lib/errors.ts";
import { TarParser } from "#lib/tar/parser.ts";
import type { FileKernel, SocketKernel } from "#kernel/kernel.ts";
import { decompress } from "#snapshot/decompress.ts";
import { type FilePart, readLayerFile } from "#snapshot/layer-file.ts";
import { removeTreeAt } from "#snapshot/remove-tree.ts";
import type { LayerLimits } from "#snapshot/snapshot.ts";
import { TreeWriter } from "#snapshot/tree-writer.ts";
import { type Digest, sha256Digest } from "#spec/image/digest.ts";

export interface ApplyOptions extends LayerLimits {
  readonly kernel: FileKernel & SocketKernel;
  /** Made by this call; its parent exists. Gone again when the call fails. */
  readonly target: string;
  /** A file, a part of one, or bytes as they come; plain or compressed. */
  readonly source: FilePart | AsyncIterable<Uint8Array>;
  /** Another sum gives data_loss. */
  readonly diffId?: Digest;
}

export interface AppliedLayer {
  readonly diffId: Digest;
  /** Sum of file sizes. */
  readonly sizeBytes: number;
  readonly entries: number;
  /** Extended attributes that the file system does not take. */
  readonly skippedXattrs: number;
  /** Everything below the layer is hidden. */
  readonly isOpaque: boolean;
  /** The tar had an entry for the root directory itself. */
  readonly hasRootEntry: boolean;
}

/** A tebibyte, ten million files: no honest layer is bigger. */
const DEFAULT_MAX_BYTES = 2 ** 40;
const DEFAULT_MAX_ENTRIES = 10_000_000;

const unpackInto = async (
  options: ApplyOptions,
  parentFd: number,
  rootFd: number,
): Promise<AppliedLayer> => {
  const { kernel, source } = options;
  const maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
  using writer = new TreeWriter({
    kernel,
    rootFd,
    isLayer: true,
    root: { parentFd, name: basename(options.target) },
    maxEntries: options.maxEntries ?? DEFAULT_MAX_ENTRIES,
  });
  const parser = new TarParser(writer);
  const hasher = new Bun.CryptoHasher("sha256");
  let total = 0;
  const take = (chunk: Uint8Array): void => {
    hasher.update(chunk);
    parser.push(chunk);
    total += chunk.length;
    if (total > maxBytes) {
      throw new NaruError(
        "resource_exhausted",
        `the layer has more than ${maxBytes} bytes (stopped at "${parser.entryName.slice(0, 256)}")`,
      );
    }
  };
  if (Symbol.asyncIterator in source) {
    for await (const chunk of decompress(source)) take(chunk);
  } else {
    await readLayerFile(source, kernel, take);
  }
  parser.end();
  writer.finish();
  const diffId = sha256Digest(hasher.digest("hex"));
  if (options.diffId !== undefined && options.diffId !== diffId) {
    throw new NaruError(
      "data_loss",
      `the layer's content has the sum "${diffId}", the image says "${options.diffId}": it is damaged or was changed; get the image again`,
    );
  }
  return {
    diffId,
    sizeBytes: writer.sizeBytes,
    entries: writer.entries,
    skippedXattrs: writer.skippedXattrs,
    isOpaque: writer.isRootOpaque,
    hasRootEntry: writer.hasRootEntry,
  };
};

/** Throws invalid_argument (a bad archive), data_loss (wrong sum), resource_exhausted (limits, disk). */
export const applyLayer = async (options: ApplyOptions): Promise<AppliedLayer> => {
  const { kernel, target } = options;
  await using undo = new AsyncDisposableStack();
  const flags = constants.O_DIRECTORY | constants.O_RDONLY;
  const parentFd = kernel.openInRoot("/", dirname(target), flags);
  undo.defer(() => kernel.close(parentFd));
  const name = basename(target);
  kernel.mkdirAt(parentFd, name, 0o755);
  let isDone = false;
  undo.defer(() => {
    if (!isDone) removeTreeAt(kernel, parentFd, name);
  });
  kernel.chmodAt(parentFd, name, 0o755);
  const rootFd = kernel.openAt(parentFd, name, flags);
  undo.defer(() => kernel.close(rootFd));
  const applied = await unpackInto(options, parentFd, rootFd);
  isDone = true;
  return applied;
};
