/**
 * EROFS on disk: the structures and numbers that an index of a layer needs (Linux, fs/erofs/erofs_fs.h and
 * Documentation/filesystems/erofs.rst). Everything is little-endian.
 */

/** The block of a tar, so that content can stay where the tar has it. */
export const BLOCK_BITS = 9;
export const BLOCK_BYTES = 1 << BLOCK_BITS;

/** An inode's number (nid) is its place in units of this. */
export const SLOT_BYTES = 32;

export const SUPER_OFFSET = 1024;
const SUPER_BYTES = 128;
export const DEVICE_SLOT_BYTES = 128;
/** The one device stands right behind the superblock, the root's inode behind that. */
export const DEVICE_OFFSET = SUPER_OFFSET + SUPER_BYTES;
export const ROOT_OFFSET = DEVICE_OFFSET + DEVICE_SLOT_BYTES;

export const MAGIC = 0xe0f5e1e2;
export const INCOMPAT_CHUNKED_FILE = 0x4;
export const INCOMPAT_DEVICE_TABLE = 0x8;

export const INODE_BYTES = 64;
/** i_format: bit 0 says "extended", bits 1 to 3 how the content lies. */
export const FORMAT_FLAT_PLAIN = 1;
export const FORMAT_FLAT_INLINE = 1 | (2 << 1);
export const FORMAT_CHUNKED = 1 | (4 << 1);

export const CHUNK_BYTES = 8;
export const CHUNK_HAS_INDEXES = 0x20;
export const NO_BLOCK = 0xffffffff;

export const DIRENT_BYTES = 12;
export const NAME_MAX_BYTES = 255;
/** A symlink's longest target, as on other file systems (PATH_MAX with its NUL). */
export const TARGET_MAX_BYTES = 4095;

export const S_IFMT = 0o170000;

/** Directory entries' d_type by the type bits of the mode. */
export const FILE_TYPES: ReadonlyMap<number, number> = new Map([
  [0o100000, 1],
  [0o040000, 2],
  [0o020000, 3],
  [0o060000, 4],
  [0o010000, 5],
  [0o140000, 6],
  [0o120000, 7],
]);

/** makedev(3) as 32 bits: the kernel's new_encode_dev(). */
export const encodeDevice = (major: number, minor: number): number =>
  ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
