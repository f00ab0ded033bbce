/** A directory's content: blocks, each with entries of fixed size in front and their names behind. */
import { encodeName } from "#lib/tar/name-bytes.ts";
import { BLOCK_BYTES, DIRENT_BYTES } from "#spec/erofs/layout.ts";

export interface DirectoryEntry {
  readonly name: Uint8Array;
  /** Of any kind: `writeDirectory` asks for its number and type. */
  readonly inode: object;
}

export interface DirectoryPlan {
  /** How many entries each block has. */
  readonly counts: readonly number[];
  readonly entries: readonly DirectoryEntry[];
  readonly sizeBytes: number;
}

const IS_PLAIN = /^[\0-\x7f]*$/;

/** The kernel searches by halves: names stand in the order of their bytes, "." and ".." among them. */
const sorted = (names: Iterable<readonly [string, object]>): DirectoryEntry[] => {
  const all = [...names];
  if (all.every(([name]) => IS_PLAIN.test(name))) {
    all.sort((a, b) => (a[0] < b[0] ? -1 : 1));
    return all.map(([name, inode]) => ({ name: Buffer.from(name, "latin1"), inode }));
  }
  const entries = all.map(([name, inode]) => ({ name: encodeName(name), inode }));
  return entries.toSorted((a, b) => Buffer.compare(a.name, b.name));
};

export const planDirectory = (
  children: ReadonlyMap<string, object>,
  self: object,
  parent: object,
): DirectoryPlan => {
  const entries = sorted([[".", self], ["..", parent], ...children]);
  const counts: number[] = [];
  let used = 0;
  let count = 0;
  for (const { name } of entries) {
    const bytes = DIRENT_BYTES + name.length;
    if (used + bytes > BLOCK_BYTES) {
      counts.push(count);
      used = 0;
      count = 0;
    }
    used += bytes;
    count += 1;
  }
  counts.push(count);
  return { counts, entries, sizeBytes: (counts.length - 1) * BLOCK_BYTES + used };
};

/** Into `image` at `offset`, a multiple of the block. What a block's names do not fill stays zero. */
export const writeDirectory = (
  image: Buffer,
  offset: number,
  plan: DirectoryPlan,
  lookUp: (inode: object) => { readonly nid: number; readonly fileType: number },
): void => {
  let next = 0;
  plan.counts.forEach((count, block) => {
    const start = offset + block * BLOCK_BYTES;
    let nameOffset = count * DIRENT_BYTES;
    for (let index = 0; index < count; index++) {
      const entry = plan.entries[next++];
      if (entry === undefined) return;
      const { nid, fileType } = lookUp(entry.inode);
      const at = start + index * DIRENT_BYTES;
      image.writeUInt32LE(nid >>> 0, at);
      image.writeUInt32LE(Math.floor(nid / 2 ** 32), at + 4);
      image.writeUInt16LE(nameOffset, at + 8);
      image.writeUInt8(fileType, at + 10);
      image.set(entry.name, start + nameOffset);
      nameOffset += entry.name.length;
    }
  });
};
