/**
 * Tar headers in ustar form, with a pax header before them only where ustar has no room: long names,
 * big numbers, fractions of seconds, extended attributes. The same entry always gives the same bytes.
 * Names that are not ASCII are written as their bytes. An archive is: for each entry its
 * `tarHeader`, its content, `tarPadding(size)`; at the end TAR_END.
 */
import { blockSum } from "#lib/tar/block-sum.ts";
import {
  BLOCK_BYTES,
  type TarEntry,
  type TarEntryType,
  badTar,
  paddingBytes,
} from "#lib/tar/entry.ts";
import { encodeName } from "#lib/tar/name-bytes.ts";
import { formatTime } from "#lib/tar/numeric.ts";
import { encodeXattrKey, formatPaxRecord } from "#lib/tar/pax.ts";

export const TAR_END: Uint8Array = new Uint8Array(2 * BLOCK_BYTES);

const FLAGS: Readonly<Record<TarEntryType, string>> = {
  file: "0",
  "hard link": "1",
  symlink: "2",
  "character device": "3",
  "block device": "4",
  directory: "5",
  fifo: "6",
};

const MAX_OCTAL_8 = 0o7777777;
const MAX_OCTAL_12 = 0o77777777777;
const SLASH = 0x2f;
const MAGIC = Buffer.from("ustar\x0000", "latin1");

export const tarPadding = (size: number): Uint8Array => TAR_END.subarray(0, paddingBytes(size));

const octal = (block: Uint8Array, offset: number, length: number, value: number): void => {
  const digits = value.toString(8).padStart(length - 1, "0");
  for (let at = 0; at < digits.length; at++) block[offset + at] = digits.charCodeAt(at);
};

/** Where to cut a name over 100 bytes so that both parts fit, or -1. */
const splitAt = (name: Uint8Array): number => {
  if (name.length > 256) return -1;
  for (let at = Math.min(155, name.length - 2); at > 0; at--) {
    if (name[at] === SLASH) return name.length - at - 1 <= 100 ? at : -1;
  }
  return -1;
};

const putName = (block: Uint8Array, name: Uint8Array): boolean => {
  if (name.length <= 100) {
    block.set(name, 0);
    return true;
  }
  const cut = splitAt(name);
  if (cut === -1) {
    block.set(name.subarray(0, 100), 0);
    return false;
  }
  block.set(name.subarray(cut + 1), 0);
  block.set(name.subarray(0, cut), 345);
  return true;
};

const seal = (block: Uint8Array): void => {
  block.set(MAGIC, 257);
  block.fill(0x20, 148, 156);
  octal(block, 148, 7, blockSum(block));
  block[154] = 0;
};

const paxHeader = (name: Uint8Array, records: ReadonlyMap<string, Uint8Array>): Uint8Array => {
  const sorted = [...records].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const body = Buffer.concat(sorted.map(([key, value]) => formatPaxRecord(key, value)));
  const block = Buffer.alloc(BLOCK_BYTES);
  block.set(Buffer.from("PaxHeaders/", "latin1"), 0);
  const end = name.at(-1) === SLASH ? name.length - 1 : name.length;
  const base = name.subarray(name.lastIndexOf(SLASH, end - 1) + 1, end);
  block.set(base.subarray(0, 89), 11);
  octal(block, 100, 8, 0o644);
  octal(block, 108, 8, 0);
  octal(block, 116, 8, 0);
  octal(block, 124, 12, body.length);
  octal(block, 136, 12, 0);
  block[156] = "x".charCodeAt(0);
  seal(block);
  return Buffer.concat([block, body, tarPadding(body.length)]);
};

/** Header blocks of one entry. A directory's name gets its closing slash. Throws invalid_argument. */
export const tarHeader = (entry: TarEntry): Uint8Array => {
  const text =
    entry.type === "directory" && !entry.name.endsWith("/") ? `${entry.name}/` : entry.name;
  const name = encodeName(text);
  const link = encodeName(entry.linkName);
  if (name.length === 0 || name.includes(0) || link.includes(0)) {
    throw badTar(entry.name, "has a name that no archive can hold");
  }
  const block = Buffer.alloc(BLOCK_BYTES);
  const records = new Map<string, Uint8Array>();
  const number = (key: string, offset: number, length: number, value: number): void => {
    const isFit = value >= 0 && value <= (length === 8 ? MAX_OCTAL_8 : MAX_OCTAL_12);
    octal(block, offset, length, isFit ? value : 0);
    if (!isFit) records.set(key, Buffer.from(String(value), "latin1"));
  };
  if (!putName(block, name)) records.set("path", name);
  octal(block, 100, 8, entry.mode & 0o7777);
  number("uid", 108, 8, entry.uid);
  number("gid", 116, 8, entry.gid);
  number("size", 124, 12, entry.type === "file" ? entry.size : 0);
  number("mtime", 136, 12, entry.mtime.seconds);
  if (entry.mtime.nanoseconds !== 0) records.set("mtime", Buffer.from(formatTime(entry.mtime)));
  block[156] = FLAGS[entry.type].charCodeAt(0);
  block.set(link.subarray(0, 100), 157);
  if (link.length > 100) records.set("linkpath", link);
  putOwnerName(block, 265, "uname", entry.userName, records);
  putOwnerName(block, 297, "gname", entry.groupName, records);
  octal(block, 329, 8, entry.deviceMajor);
  octal(block, 337, 8, entry.deviceMinor);
  for (const [key, value] of entry.xattrs) records.set(encodeXattrKey(key), value);
  seal(block);
  return records.size === 0 ? block : Buffer.concat([paxHeader(name, records), block]);
};

const putOwnerName = (
  block: Uint8Array,
  offset: number,
  key: string,
  text: string,
  records: Map<string, Uint8Array>,
): void => {
  const bytes = encodeName(text);
  if (bytes.length < 32) block.set(bytes, offset);
  else records.set(key, bytes);
};
