/** What a tar archive says about one file. Field names follow pax(1) and the GNU tar manual. */
import { NaruError } from "#lib/errors.ts";

export type TarEntryType =
  | "file"
  | "hard link"
  | "symlink"
  | "character device"
  | "block device"
  | "directory"
  | "fifo";

export interface TarTime {
  /** Seconds since the epoch, negative before it; nanoseconds in 0..999,999,999 always count up. */
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** A run of real data in a sparse file; everything outside of the runs is zeros. */
export interface DataRegion {
  readonly offset: number;
  readonly length: number;
}

export interface TarEntry {
  readonly type: TarEntryType;
  /** As it stands in the archive (a directory's closing slash included); text form of name-bytes.ts. */
  readonly name: string;
  /** Target of a symlink or hard link, else "". */
  readonly linkName: string;
  /** The twelve permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly userName: string;
  readonly groupName: string;
  /** Bytes of the file's content with its holes; 0 for everything but files. */
  readonly size: number;
  readonly mtime: TarTime;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  /** Extended attributes by full name ("security.capability"). */
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
  /** Only for sparse files: ascending, not overlapping. */
  readonly regions?: readonly DataRegion[];
}

export const NO_XATTRS: ReadonlyMap<string, Uint8Array> = new Map();

const PLAIN: Omit<TarEntry, "name"> = {
  type: "file",
  linkName: "",
  mode: 0o644,
  uid: 0,
  gid: 0,
  userName: "",
  groupName: "",
  size: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  deviceMajor: 0,
  deviceMinor: 0,
  xattrs: NO_XATTRS,
};

/** An entry of root's, of no time, with `given` over it: an empty file of mode 0644 where nothing says otherwise. */
export const plainEntry = (name: string, given: Partial<TarEntry> = {}): TarEntry => ({
  ...PLAIN,
  name,
  ...given,
});

export const BLOCK_BYTES = 512;

/** Longest pax, long-name or sparse-map block taken: a bigger one is made to exhaust memory. */
export const MAX_META_BYTES = 1024 * 1024;

/** Bytes that follow content of `size` bytes to fill the last block. */
export const paddingBytes = (size: number): number =>
  (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES;

/** The error of every bad archive: names the entry it was found at. */
export const badTar = (name: string, reason: string): NaruError =>
  new NaruError("invalid_argument", `tar entry "${name}" ${reason}`, { details: { entry: name } });
