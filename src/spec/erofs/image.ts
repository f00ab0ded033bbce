/**
 * An EROFS image that holds names and attributes alone: content lies in a second file, the image's one extra
 * device (mount option `device=`), which is mapped behind the image's own blocks. So a tar archive becomes a
 * file system without a byte of it being moved.
 */
import { type DirectoryPlan, planDirectory, writeDirectory } from "#spec/erofs/directory.ts";
import {
  BLOCK_BITS,
  BLOCK_BYTES,
  CHUNK_BYTES,
  CHUNK_HAS_INDEXES,
  DEVICE_OFFSET,
  DEVICE_SLOT_BYTES,
  FILE_TYPES,
  FORMAT_CHUNKED,
  FORMAT_FLAT_INLINE,
  FORMAT_FLAT_PLAIN,
  INCOMPAT_CHUNKED_FILE,
  INCOMPAT_DEVICE_TABLE,
  INODE_BYTES,
  MAGIC,
  NO_BLOCK,
  ROOT_OFFSET,
  SLOT_BYTES,
  SUPER_OFFSET,
  S_IFMT,
  encodeDevice,
} from "#spec/erofs/layout.ts";
import { encodeXattrs, xattrCount } from "#spec/erofs/xattr.ts";

export type ErofsContent =
  | { readonly kind: "directory"; readonly children: ReadonlyMap<string, ErofsInode> }
  /** `offset` in the data file, a multiple of 512. */
  | { readonly kind: "data"; readonly sizeBytes: number; readonly offset: number }
  /** Runs of `512 << chunkBits` bytes: the block of the data file where each lies, -1 for zeros. */
  | {
      readonly kind: "chunks";
      readonly sizeBytes: number;
      readonly chunkBits: number;
      readonly blocks: readonly number[];
    }
  | { readonly kind: "symlink"; readonly target: Uint8Array }
  | { readonly kind: "node"; readonly deviceMajor: number; readonly deviceMinor: number };

/** Under several names it is a file with hard links. */
export interface ErofsInode {
  /** With the type bits, which fit `content`. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: { readonly seconds: number; readonly nanoseconds: number };
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
  readonly content: ErofsContent;
}

interface Placed {
  readonly inode: ErofsInode;
  /** Where the inode begins in the image. */
  readonly offset: number;
  readonly xattrs: Uint8Array;
  readonly isInline: boolean;
  readonly directory: DirectoryPlan | undefined;
  links: number;
  /** First block of what lies in the image itself. */
  block: number;
}

const roundUp = (bytes: number, unit: number): number => Math.ceil(bytes / unit) * unit;
const blocksOf = (bytes: number): number => Math.ceil(bytes / BLOCK_BYTES);

class Placement {
  readonly inodes = new Map<object, Placed>();
  #offset = ROOT_OFFSET;

  constructor(root: ErofsInode) {
    const pending: (readonly [ErofsInode, ErofsInode])[] = [[root, root]];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const [inode, parent] = next;
      const placed = this.#place(inode, parent);
      if (inode.content.kind !== "directory") continue;
      placed.links += 1; // Its own "."; the name in its parent is counted there.
      for (const child of inode.content.children.values()) {
        const known = this.inodes.get(child);
        if (known !== undefined) {
          known.links += 1;
        } else if (child.content.kind === "directory") {
          placed.links += 1; // The child's "..".
          pending.push([child, inode]);
        } else {
          this.#place(child, inode);
        }
      }
    }
  }

  get endOffset(): number {
    return this.#offset;
  }

  #place(inode: ErofsInode, parent: ErofsInode): Placed {
    const { content } = inode;
    const xattrs = encodeXattrs(inode.xattrs);
    const head = INODE_BYTES + xattrs.length;
    let size = head;
    let isInline = false;
    if (content.kind === "chunks") {
      size = roundUp(head, CHUNK_BYTES) + content.blocks.length * CHUNK_BYTES;
    } else if (content.kind === "symlink" && content.target.length <= BLOCK_BYTES) {
      // The target must not lie across two blocks: it may have to begin with the next one.
      const tail = (this.#offset + head) % BLOCK_BYTES;
      if (tail + content.target.length > BLOCK_BYTES) {
        this.#offset += roundUp(BLOCK_BYTES - tail, SLOT_BYTES);
      }
      const start = (this.#offset + head) % BLOCK_BYTES;
      isInline = start + content.target.length <= BLOCK_BYTES;
      if (isInline) size += content.target.length;
    }
    const offset = this.#offset;
    this.#offset = roundUp(offset + size, SLOT_BYTES);
    const directory =
      content.kind === "directory" ? planDirectory(content.children, inode, parent) : undefined;
    const placed: Placed = { inode, offset, xattrs, isInline, directory, links: 1, block: 0 };
    this.inodes.set(inode, placed);
    return placed;
  }
}

/** Gives directories and long symlinks their blocks behind the inodes. Returns the number of blocks in all. */
const placeBlocks = (placement: Placement): number => {
  let block = blocksOf(placement.endOffset);
  for (const placed of placement.inodes.values()) {
    const { content } = placed.inode;
    placed.block = block;
    if (placed.directory !== undefined) block += placed.directory.counts.length;
    else if (content.kind === "symlink" && !placed.isInline)
      block += blocksOf(content.target.length);
  }
  return block;
};

const writeChunks = (image: Buffer, placed: Placed, blocks: readonly number[]): void => {
  let at = roundUp(placed.offset + INODE_BYTES + placed.xattrs.length, CHUNK_BYTES);
  for (const block of blocks) {
    image.writeUInt16LE(block === -1 ? 0 : 1, at + 2); // The device: the first extra one.
    image.writeUInt32LE(block === -1 ? NO_BLOCK : block, at + 4);
    at += CHUNK_BYTES;
  }
};

interface Body {
  readonly format: number;
  readonly sizeBytes: number;
  /** i_u: a block, a device, or how chunks are told. */
  readonly word: number;
}

/** Writes what of the content is in the image, and says what the inode says of it. */
const writeBody = (
  image: Buffer,
  placed: Placed,
  dataBlock: number,
  lookUp: (inode: object) => { nid: number; fileType: number },
): Body => {
  const { content } = placed.inode;
  switch (content.kind) {
    case "directory": {
      const plan = placed.directory ?? planDirectory(content.children, placed.inode, placed.inode);
      writeDirectory(image, placed.block * BLOCK_BYTES, plan, lookUp);
      return { format: FORMAT_FLAT_PLAIN, sizeBytes: plan.sizeBytes, word: placed.block };
    }
    case "data": {
      const word = content.sizeBytes === 0 ? 0 : dataBlock + content.offset / BLOCK_BYTES;
      return { format: FORMAT_FLAT_PLAIN, sizeBytes: content.sizeBytes, word };
    }
    case "chunks":
      writeChunks(image, placed, content.blocks);
      return {
        format: FORMAT_CHUNKED,
        sizeBytes: content.sizeBytes,
        word: content.chunkBits | CHUNK_HAS_INDEXES,
      };
    case "symlink": {
      const { target } = content;
      const inlineAt = placed.offset + INODE_BYTES + placed.xattrs.length;
      image.set(target, placed.isInline ? inlineAt : placed.block * BLOCK_BYTES);
      const format = placed.isInline ? FORMAT_FLAT_INLINE : FORMAT_FLAT_PLAIN;
      return { format, sizeBytes: target.length, word: placed.isInline ? 0 : placed.block };
    }
    case "node": {
      const { deviceMajor, deviceMinor } = content;
      const word = encodeDevice(deviceMajor, deviceMinor);
      return { format: FORMAT_FLAT_PLAIN, sizeBytes: 0, word };
    }
  }
};

const writeInode = (image: Buffer, placed: Placed, body: Body, number: number): void => {
  const { inode, offset, xattrs } = placed;
  image.writeUInt16LE(body.format, offset);
  image.writeUInt16LE(xattrCount(xattrs.length), offset + 2);
  image.writeUInt16LE(inode.mode, offset + 4);
  image.writeBigUInt64LE(BigInt(body.sizeBytes), offset + 8);
  image.writeUInt32LE(body.word, offset + 16);
  image.writeUInt32LE(number, offset + 20);
  image.writeUInt32LE(inode.uid, offset + 24);
  image.writeUInt32LE(inode.gid, offset + 28);
  image.writeBigInt64LE(BigInt(inode.mtime.seconds), offset + 32);
  image.writeUInt32LE(inode.mtime.nanoseconds, offset + 40);
  image.writeUInt32LE(placed.links, offset + 44);
  image.set(xattrs, offset + INODE_BYTES);
};

const writeSuper = (image: Buffer, inodes: number, blocks: number, dataBlocks: number): void => {
  image.writeUInt32LE(MAGIC, SUPER_OFFSET);
  image.writeUInt8(BLOCK_BITS, SUPER_OFFSET + 12);
  image.writeUInt16LE(ROOT_OFFSET / SLOT_BYTES, SUPER_OFFSET + 14);
  image.writeBigUInt64LE(BigInt(inodes), SUPER_OFFSET + 16);
  image.writeUInt32LE(blocks, SUPER_OFFSET + 36);
  image.writeUInt32LE(INCOMPAT_CHUNKED_FILE | INCOMPAT_DEVICE_TABLE, SUPER_OFFSET + 80);
  image.writeUInt16LE(1, SUPER_OFFSET + 86); // Extra devices.
  image.writeUInt16LE(DEVICE_OFFSET / DEVICE_SLOT_BYTES, SUPER_OFFSET + 88);
  image.writeUInt32LE(dataBlocks, DEVICE_OFFSET + 64);
  image.writeUInt32LE(blocks, DEVICE_OFFSET + 68); // Mapped behind the image's own blocks.
};

/**
 * The image of the tree below `root`, whose content lies in a file of `dataBytes`. The same tree gives the same
 * bytes. Names and targets must have been checked (NAME_MAX_BYTES, TARGET_MAX_BYTES, no "/", no NUL), and
 * attributes by `canHoldXattrs`.
 */
export const erofsImage = (root: ErofsInode, dataBytes: number): Buffer => {
  const placement = new Placement(root);
  const blocks = placeBlocks(placement);
  const image = Buffer.alloc(blocks * BLOCK_BYTES);
  const lookUp = (inode: object): { nid: number; fileType: number } => {
    const placed = placement.inodes.get(inode);
    const type = FILE_TYPES.get((placed?.inode.mode ?? 0) & S_IFMT) ?? 0;
    return { nid: (placed?.offset ?? 0) / SLOT_BYTES, fileType: type };
  };
  let number = 0;
  for (const placed of placement.inodes.values()) {
    number += 1;
    writeInode(image, placed, writeBody(image, placed, blocks, lookUp), number);
  }
  writeSuper(image, placement.inodes.size, blocks, blocksOf(dataBytes));
  return image;
};

/** Changes the identity and the root of an image in place: both depend on what a layer stands on. */
export const setErofsIdentity = (head: Buffer, uuid: Uint8Array): void => {
  head.set(uuid.subarray(0, 16), SUPER_OFFSET + 48);
};

export const setErofsRoot = (
  head: Buffer,
  root: { readonly mode: number; readonly uid: number; readonly gid: number },
): void => {
  head.writeUInt16LE(0o040000 | (root.mode & 0o7777), ROOT_OFFSET + 4);
  head.writeUInt32LE(root.uid, ROOT_OFFSET + 24);
  head.writeUInt32LE(root.gid, ROOT_OFFSET + 28);
};

/** Bytes from the start that the two functions above need. */
export const EROFS_HEAD_BYTES = ROOT_OFFSET + INODE_BYTES;
