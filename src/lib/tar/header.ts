/** One 512-byte header block, without what extended headers say over it. */
import { blockSum } from "#lib/tar/block-sum.ts";
import { BLOCK_BYTES, badTar } from "#lib/tar/entry.ts";
import { decodeName } from "#lib/tar/name-bytes.ts";
import { parseNumber } from "#lib/tar/numeric.ts";

export interface RawHeader {
  readonly typeFlag: string;
  readonly name: string;
  readonly linkName: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtimeSeconds: number;
  readonly userName: string;
  readonly groupName: string;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
}

export const isZeroBlock = (block: Uint8Array): boolean => {
  if (block[0] !== 0) return false;
  for (let at = 1; at < BLOCK_BYTES; at++) if (block[at] !== 0) return false;
  return true;
};

const field = (block: Uint8Array, offset: number, length: number): string => {
  if (block[offset] === 0) return "";
  const zero = block.indexOf(0, offset);
  const end = zero === -1 ? offset + length : Math.min(zero, offset + length);
  return decodeName(block.subarray(offset, end));
};

const CHECKSUM_START = 148;
const CHECKSUM_END = 156;

/** The sum counts the checksum field as blanks. Some old programs added signed bytes. */
const isChecksumRight = (block: Uint8Array): boolean => {
  const stored = parseNumber(block, CHECKSUM_START, 8);
  let sum = blockSum(block);
  for (let at = CHECKSUM_START; at < CHECKSUM_END; at++) sum += 0x20 - (block[at] ?? 0);
  if (stored === sum) return true;
  for (let at = 0; at < BLOCK_BYTES; at++) {
    const isField = at >= CHECKSUM_START && at < CHECKSUM_END;
    if ((block[at] ?? 0) > 0x7f && !isField) sum -= 256;
  }
  return stored === sum;
};

const USTAR = "ustar";
/** Ids are 32 bits to the kernel, and all ones mean "leave as it is" to chown(2). */
export const MAX_ID = 0xfffffffe;

/** Throws invalid_argument for a block that is no header; `previous` says where it stands. */
export const parseHeader = (block: Uint8Array, previous: string): RawHeader => {
  if (!isChecksumRight(block)) {
    throw badTar(
      previous,
      previous === ""
        ? "has a wrong checksum: this is not a tar archive, or it is damaged"
        : "is followed by a header with a wrong checksum: the archive is damaged",
    );
  }
  const magic = field(block, 257, 6);
  const isUstar = magic === USTAR;
  const shortName = field(block, 0, 100);
  const isStar = field(block, 508, 4) === "tar";
  const prefix = isUstar ? field(block, 345, isStar ? 131 : 155) : "";
  const name = prefix === "" ? shortName : `${prefix}/${shortName}`;
  const number = (what: string, offset: number, length: number): number => {
    const value = parseNumber(block, offset, length);
    if (value === undefined) throw badTar(name, `has an unreadable ${what}`);
    return value;
  };
  const isExtended = magic.startsWith(USTAR);
  const size = number("size", 124, 12);
  if (size < 0) throw badTar(name, `has a negative size (${size})`);
  return {
    typeFlag: String.fromCharCode(block[156] ?? 0),
    name,
    linkName: field(block, 157, 100),
    mode: number("mode", 100, 8) & 0o7777,
    uid: number("owner id", 108, 8),
    gid: number("group id", 116, 8),
    size,
    mtimeSeconds: number("time", 136, 12),
    userName: isExtended ? field(block, 265, 32) : "",
    groupName: isExtended ? field(block, 297, 32) : "",
    deviceMajor: isExtended ? number("device number", 329, 8) : 0,
    deviceMinor: isExtended ? number("device number", 337, 8) : 0,
  };
};
