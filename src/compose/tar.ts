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

export interface PlainLink {
  /** Relative, without a slash in front. */
  readonly path: string;
  /** Where the symbolic link points, as it is written in it. */
  readonly linkName: string;
}

/** Folders on the way are made by the engine. */
export const encodeTar = (
  files: readonly PlainFile[],
  links: readonly PlainLink[] = [],
): Uint8Array => {
  const symlinks = links.map(({ path, linkName }) =>
    tarHeader(plainEntry(path, { type: "symlink", mode: 0o777, linkName })),
  );
  const parts = files.flatMap((file) => {
    const { bytes, mode, uid, gid, path } = file;
    const size = bytes.length;
    return [tarHeader(plainEntry(path, { mode, uid, gid, size })), bytes, tarPadding(size)];
  });
  return Buffer.concat([...parts, ...symlinks, TAR_END]);
};
