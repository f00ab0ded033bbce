/**
 * Unpacks one layer into a new directory, in overlay form. Blocks the thread for as long as it takes:
 * the daemon lets a child process do it (worker.ts).
 */
import { constants, rmSync } from "node:fs";
import { dirname, basename } from "node:path";
import { NaruError } from "#lib/errors.ts";
import { TarParser } from "#lib/tar/parser.ts";
import type { FileKernel, SocketKernel } from "#kernel/kernel.ts";
import { decompress } from "#snapshot/decompress.ts";
import { type FilePart, readLayerFile } from "#snapshot/layer-file.ts";
import { IndexWriter } from "#snapshot/index-writer.ts";
import type { LayerForm, RootAttributes } from "#snapshot/layer-form.ts";
import { removeTreeAt } from "#snapshot/remove-tree.ts";
import type { LayerLimits } from "#snapshot/snapshot.ts";
import { TreeWriter } from "#snapshot/tree-writer.ts";
import { type Digest, sha256Digest } from "#spec/image/digest.ts";

export interface ApplyOptions extends LayerLimits {
  readonly kernel: FileKernel & SocketKernel;
  /** Of the layer's tree. Made by this call; its parent exists. Gone again when the call fails. */
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
  readonly form: LayerForm;
  /** Of the form `erofs`. */
  readonly root?: RootAttributes;
}

/** A tebibyte, ten million files: no honest layer is bigger. */
const DEFAULT_MAX_BYTES = 2 ** 40;
const DEFAULT_MAX_ENTRIES = 10_000_000;

/** Reads the layer through `push`, and checks its size and sum. */
const readThrough = async (
  options: Pick<ApplyOptions, "kernel" | "source" | "diffId" | "maxBytes">,
  push: (chunk: Uint8Array) => void,
  entryName: () => string,
): Promise<Digest> => {
  const { kernel, source } = options;
  const maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
  const hasher = new Bun.CryptoHasher("sha256");
  let total = 0;
  const take = (chunk: Uint8Array): void => {
    hasher.update(chunk);
    push(chunk);
    total += chunk.length;
    if (total > maxBytes) {
      throw new NaruError(
        "resource_exhausted",
        `the layer has more than ${maxBytes} bytes (stopped at "${entryName().slice(0, 256)}")`,
      );
    }
  };
  if (Symbol.asyncIterator in source) {
    for await (const chunk of decompress(source)) take(chunk);
  } else {
    await readLayerFile(source, kernel, take);
  }
  const diffId = sha256Digest(hasher.digest("hex"));
  if (options.diffId !== undefined && options.diffId !== diffId) {
    throw new NaruError(
      "data_loss",
      `the layer's content has the sum "${diffId}", the image says "${options.diffId}": it is damaged or was changed; get the image again`,
    );
  }
  return diffId;
};

const unpackInto = async (
  options: ApplyOptions,
  parentFd: number,
  rootFd: number,
): Promise<AppliedLayer> => {
  using writer = new TreeWriter({
    kernel: options.kernel,
    rootFd,
    isLayer: true,
    root: { parentFd, name: basename(options.target) },
    maxEntries: options.maxEntries ?? DEFAULT_MAX_ENTRIES,
  });
  const parser = new TarParser(writer);
  const diffId = await readThrough(
    options,
    (chunk) => parser.push(chunk),
    () => parser.entryName,
  );
  parser.end();
  writer.finish();
  return {
    diffId,
    sizeBytes: writer.sizeBytes,
    entries: writer.entries,
    skippedXattrs: writer.skippedXattrs,
    isOpaque: writer.isRootOpaque,
    hasRootEntry: writer.hasRootEntry,
    form: "directory",
  };
};

/**
 * Keeps the layer's tar and writes its index into the directory `target`, which is there; what this leaves when it
 * fails is the caller's. A layer that no index can show is unpacked into `<target>/diff`.
 */
export const indexLayer = async (options: ApplyOptions): Promise<AppliedLayer> => {
  const { target: directory, maxEntries = DEFAULT_MAX_ENTRIES } = options;
  using writer = new IndexWriter({ directory, maxEntries });
  const diffId = await readThrough(
    options,
    (chunk) => writer.push(chunk),
    () => writer.entryName,
  );
  const written = writer.finish();
  if (written !== undefined) return { ...written, diffId, form: "erofs" };
  const source = { path: writer.tarPath };
  const applied = await applyLayer({ ...options, diffId, source, target: `${directory}/diff` });
  rmSync(writer.tarPath);
  return applied;
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
