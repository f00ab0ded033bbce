/**
 * The two forms that a layer's files are kept in:
 *
 * - `directory`: unpacked, in overlay form, in `diff/`;
 * - `erofs`: as the layer's tar came (`layer.tar`), with an EROFS image of its names and attributes beside it
 *   (`layer.erofs`). The kernel mounts the two as one file system.
 */
import {
  closeSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  openSync,
  readSync,
  writeSync,
} from "node:fs";
import { EROFS_HEAD_BYTES, setErofsIdentity, setErofsRoot } from "#spec/erofs/image.ts";
import type { Digest } from "#spec/image/digest.ts";
import { hexOf } from "#spec/image/digest.ts";

export type LayerForm = "directory" | "erofs";

export const INDEX_FILE = "layer.erofs";
export const TAR_FILE = "layer.tar";

/** Of the layer's own root directory. */
export interface RootAttributes {
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/**
 * What of an index depends on the layers below: overlay tells file systems apart by their uuid, and shows the
 * topmost root. `root` undefined: as the tar says.
 */
export const applyIdentity = (
  head: Buffer,
  chainId: Digest,
  root: RootAttributes | undefined,
): void => {
  setErofsIdentity(head, Buffer.from(hexOf(chainId), "hex"));
  if (root !== undefined) setErofsRoot(head, root);
};

/** The same for an index on disk. */
export const identifyIndex = (
  file: string,
  chainId: Digest,
  root: RootAttributes | undefined,
): void => {
  const fd = openSync(file, "r+");
  try {
    const head = Buffer.alloc(EROFS_HEAD_BYTES);
    readSync(fd, head, 0, head.length, 0);
    applyIdentity(head, chainId, root);
    writeSync(fd, head, 0, head.length, 0);
  } finally {
    closeSync(fd);
  }
};

/** An indexed layer's files once more, in the new directory `to`: the tar is shared, the index is its own. */
export const linkIndexed = (from: string, to: string): void => {
  mkdirSync(to, { mode: 0o700 });
  linkSync(`${from}/${TAR_FILE}`, `${to}/${TAR_FILE}`);
  copyFileSync(`${from}/${INDEX_FILE}`, `${to}/${INDEX_FILE}`);
};
