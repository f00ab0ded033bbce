/** A small archive in memory, for files made here. */
import type { TarEntry } from "#lib/tar/entry.ts";
import { NO_XATTRS } from "#lib/tar/entry.ts";
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

const entryOf = (path: string, given: Partial<TarEntry>): TarEntry => ({
  type: "file",
  name: path,
  linkName: "",
  mode: 0o755,
  uid: 0,
  gid: 0,
  userName: "",
  groupName: "",
  size: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  deviceMajor: 0,
  deviceMinor: 0,
  xattrs: NO_XATTRS,
  ...given,
});

/** Folders on the way are made by the engine. */
export const encodeTar = (files: readonly PlainFile[]): Uint8Array => {
  const parts = files.flatMap((file) => {
    const { bytes, mode, uid, gid, path } = file;
    const size = bytes.length;
    return [tarHeader(entryOf(path, { mode, uid, gid, size })), bytes, tarPadding(size)];
  });
  return Buffer.concat([...parts, TAR_END]);
};
