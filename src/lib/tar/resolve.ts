/** Joins a header block with the extended headers before it into one entry. */
import {
  type DataRegion,
  NO_XATTRS,
  type TarEntry,
  type TarEntryType,
  type TarTime,
  badTar,
} from "#lib/tar/entry.ts";
import { MAX_ID, type RawHeader } from "#lib/tar/header.ts";
import { decodeName } from "#lib/tar/name-bytes.ts";
import { parseDecimal, parseTime } from "#lib/tar/numeric.ts";
import { XATTR_PREFIX, decodeXattrKey } from "#lib/tar/pax.ts";
import { parseMapText } from "#lib/tar/sparse.ts";

/** What was read since the last entry. */
export interface Extensions {
  readonly global: ReadonlyMap<string, Uint8Array>;
  readonly local: ReadonlyMap<string, Uint8Array>;
  readonly sparsePairs: readonly number[];
  readonly longName: string | undefined;
  readonly longLink: string | undefined;
}

/** How the content stands in the archive. */
export interface Packing {
  readonly entry: TarEntry;
  /** Bytes of content that follow the header. */
  readonly packedBytes: number;
  /** Offsets and lengths known from headers; `hasLeadingMap` says that they come with the data. */
  readonly sparsePairs: readonly number[] | undefined;
  readonly hasLeadingMap: boolean;
}

const TYPES: Readonly<Record<string, TarEntryType>> = {
  "\0": "file",
  "0": "file",
  "7": "file", // contiguous: a hint for old disks
  S: "file", // sparse, old GNU
  "1": "hard link",
  "2": "symlink",
  "3": "character device",
  "4": "block device",
  "5": "directory",
  "6": "fifo",
};

const typeOf = (raw: RawHeader, name: string): TarEntryType => {
  const type = TYPES[raw.typeFlag];
  if (type === undefined) {
    throw badTar(name, `has the type ${JSON.stringify(raw.typeFlag)}, which is not supported`);
  }
  // v7 archives have no type for directories.
  return raw.typeFlag === "\0" && name.endsWith("/") ? "directory" : type;
};

const readXattrs = (
  records: ReadonlyMap<string, Uint8Array>,
): ReadonlyMap<string, Uint8Array> | undefined => {
  let xattrs: Map<string, Uint8Array> | undefined;
  for (const [key, value] of records) {
    if (!key.startsWith(XATTR_PREFIX)) continue;
    xattrs ??= new Map();
    xattrs.set(decodeXattrKey(key), value);
  }
  return xattrs;
};

const isValidId = (id: number | undefined): id is number =>
  id !== undefined && id >= 0 && id <= MAX_ID;

const sparseMap = (
  local: ReadonlyMap<string, Uint8Array>,
  pairs: readonly number[],
  name: string,
): { pairs: readonly number[] | undefined; hasLeadingMap: boolean } => {
  const major = local.get("GNU.sparse.major");
  if (major !== undefined) {
    const version = `${decodeName(major)}.${decodeName(local.get("GNU.sparse.minor") ?? new Uint8Array())}`;
    if (version !== "1.0") throw badTar(name, `uses the unknown sparse format "${version}"`);
    return { pairs: undefined, hasLeadingMap: true };
  }
  const map = local.get("GNU.sparse.map");
  if (map !== undefined) return { pairs: parseMapText(map, name), hasLeadingMap: false };
  const isListed = local.has("GNU.sparse.size") || pairs.length > 0;
  return { pairs: isListed ? pairs : undefined, hasLeadingMap: false };
};

/** Throws invalid_argument naming the entry. `oldGnu` holds the map of an 'S' header. */
export const resolveEntry = (
  raw: RawHeader,
  extensions: Extensions,
  oldGnu: { pairs: readonly number[]; realSize: number } | undefined,
): Packing => {
  const { global, local } = extensions;
  const text = (
    key: string,
    records: ReadonlyMap<string, Uint8Array> = local,
  ): string | undefined => {
    const value = records.get(key);
    return value === undefined || value.length === 0 ? undefined : decodeName(value);
  };
  const name = text("GNU.sparse.name") ?? text("path") ?? extensions.longName ?? raw.name;
  const linkName = text("linkpath") ?? extensions.longLink ?? raw.linkName;
  if (name.includes("\0") || linkName.includes("\0")) throw badTar(name, "has a NUL in its name");
  const either = (key: string): string | undefined => text(key) ?? text(key, global);
  const number = (key: string, value: string | undefined): number | undefined => {
    if (value === undefined) return undefined;
    const parsed = parseDecimal(value);
    if (parsed === undefined) throw badTar(name, `has an unreadable ${key} "${value}"`);
    return parsed;
  };
  const mtimeText = either("mtime");
  const mtime: TarTime | undefined =
    mtimeText === undefined ? { seconds: raw.mtimeSeconds, nanoseconds: 0 } : parseTime(mtimeText);
  if (mtime === undefined) throw badTar(name, `has an unreadable time "${mtimeText}"`);
  const uid = number("owner id", either("uid")) ?? raw.uid;
  const gid = number("group id", either("gid")) ?? raw.gid;
  if (!isValidId(uid) || !isValidId(gid)) {
    throw badTar(name, `has an owner (${uid}:${gid}) outside of 0..${MAX_ID}`);
  }
  const type = typeOf(raw, name);
  // Only files have content; a size on anything else is noise, as in Go's reader.
  const packedBytes = type === "file" ? (number("size", text("size")) ?? raw.size) : 0;
  const sparse =
    oldGnu === undefined
      ? sparseMap(local, extensions.sparsePairs, name)
      : { pairs: oldGnu.pairs, hasLeadingMap: false };
  const isSparse = type === "file" && (sparse.pairs !== undefined || sparse.hasLeadingMap);
  const realSize =
    oldGnu?.realSize ??
    number("size", text("GNU.sparse.realsize") ?? text("GNU.sparse.size")) ??
    packedBytes;
  const localXattrs = readXattrs(local);
  const xattrs = localXattrs ?? readXattrs(global) ?? NO_XATTRS;
  return {
    entry: {
      type,
      name,
      linkName: type === "symlink" || type === "hard link" ? linkName : "",
      mode: raw.mode,
      uid,
      gid,
      userName: either("uname") ?? raw.userName,
      groupName: either("gname") ?? raw.groupName,
      size: type === "file" ? (isSparse ? realSize : packedBytes) : 0,
      mtime,
      deviceMajor: raw.deviceMajor,
      deviceMinor: raw.deviceMinor,
      xattrs,
    },
    packedBytes,
    sparsePairs: isSparse ? sparse.pairs : undefined,
    hasLeadingMap: isSparse && sparse.hasLeadingMap,
  };
};

/** The same entry with its checked map. */
export const withRegions = (entry: TarEntry, regions: readonly DataRegion[]): TarEntry => ({
  ...entry,
  regions,
});
