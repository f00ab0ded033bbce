/** Extended attributes as they stand behind an inode: a header, then entries of four-byte steps. */
import { encodeName } from "#lib/tar/name-bytes.ts";

const HEADER_BYTES = 12;
const ENTRY_BYTES = 4;
const UNIT_BYTES = 4;

export const XATTR_VALUE_MAX_BYTES = 0xffff;
const NAME_MAX_BYTES = 255;
/** i_xattr_icount has 16 bits. */
const AREA_MAX_BYTES = HEADER_BYTES + (0xffff - 1) * UNIT_BYTES;

/** Names are kept as the number of their prefix and the rest. */
const PREFIXES: readonly (readonly [prefix: string, index: number])[] = [
  ["user.", 1],
  ["system.posix_acl_access", 2],
  ["system.posix_acl_default", 3],
  ["trusted.", 4],
  ["security.", 6],
];

const splitName = (name: string): readonly [index: number, rest: string] | undefined => {
  for (const [prefix, index] of PREFIXES) {
    const isWhole = !prefix.endsWith(".");
    if (isWhole ? name === prefix : name.length > prefix.length && name.startsWith(prefix)) {
      return [index, name.slice(prefix.length)];
    }
  }
  return undefined;
};

/** False: no EROFS can hold an attribute of this name, as no other file system of Linux's does. */
export const canHoldXattr = (name: string): boolean => splitName(name) !== undefined;

/** False: an attribute is too large for an image; other file systems may take it. */
export const canHoldXattrs = (xattrs: ReadonlyMap<string, Uint8Array>): boolean => {
  let total = HEADER_BYTES;
  for (const [name, value] of xattrs) {
    const nameBytes = Buffer.byteLength(splitName(name)?.[1] ?? "");
    if (value.length > XATTR_VALUE_MAX_BYTES || nameBytes > NAME_MAX_BYTES) return false;
    total += ENTRY_BYTES + nameBytes + value.length + UNIT_BYTES;
  }
  return total <= AREA_MAX_BYTES;
};

const roundUp = (bytes: number): number => Math.ceil(bytes / UNIT_BYTES) * UNIT_BYTES;

/** Empty where there are none. Attributes of names that EROFS does not have are left out. */
export const encodeXattrs = (xattrs: ReadonlyMap<string, Uint8Array>): Uint8Array => {
  const parts: Uint8Array[] = [];
  for (const [name, value] of xattrs) {
    const split = splitName(name);
    if (split === undefined) continue;
    const [index, rest] = split;
    const nameBytes = encodeName(rest);
    const entry = Buffer.alloc(roundUp(ENTRY_BYTES + nameBytes.length + value.length));
    entry.writeUInt8(nameBytes.length, 0);
    entry.writeUInt8(index, 1);
    entry.writeUInt16LE(value.length, 2);
    entry.set(nameBytes, ENTRY_BYTES);
    entry.set(value, ENTRY_BYTES + nameBytes.length);
    parts.push(entry);
  }
  return parts.length === 0 ? NONE : Buffer.concat([Buffer.alloc(HEADER_BYTES), ...parts]);
};

const NONE = new Uint8Array();

/** i_xattr_icount of an area of so many bytes. */
export const xattrCount = (areaBytes: number): number =>
  areaBytes === 0 ? 0 : (areaBytes - HEADER_BYTES) / UNIT_BYTES + 1;
