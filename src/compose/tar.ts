/** A small archive in memory, for files made here. */
import { plainEntry } from "#lib/tar/entry.ts";
import { TAR_END, tarHeader, tarPadding } from "#lib/tar/writer.ts";

export interface PlainFile {
  /** Relative, without a slash in front. */
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Folders on the way are made by the engine. */
export const encodeTar = (files: readonly PlainFile[]): Uint8Array => {
  const parts = files.flatMap((file) => {
    const { bytes, mode, uid, gid, path } = file;
    const size = bytes.length;
    return [tarHeader(plainEntry(path, { mode, uid, gid, size })), bytes, tarPadding(size)];
  });
  return Buffer.concat([...parts, TAR_END]);
};
