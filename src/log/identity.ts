/**
 * Which file of a log is which, through renames and compression: who follows a log must know what it
 * has read already. A compressed file names the one it was made of in its gzip header (RFC 1952, FNAME).
 */
import { type BigIntStats, fstatSync, readSync } from "node:fs";

/** Magic, deflate, "a name follows", no time, no hints, written on Unix. */
const HEADER = Buffer.from([0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3]);
const MAX_NAME_BYTES = 64;

/** Inodes are used again soon after a file is removed; with the time of birth they are not. */
export const identityOf = ({ ino, birthtimeNs }: BigIntStats): string => `${ino}:${birthtimeNs}`;

export const gzipHeader = (identity: string): Buffer =>
  Buffer.concat([HEADER, Buffer.from(`${identity}\0`, "latin1")]);

/** Of the file that was compressed; a stranger's gzip is itself. */
export const compressedIdentity = (fd: number): string => {
  const head = Buffer.alloc(HEADER.length + MAX_NAME_BYTES);
  readSync(fd, head, 0, head.length, 0);
  const end = head.indexOf(0, HEADER.length);
  if (head[3] === HEADER[3] && end > 0) return head.toString("latin1", HEADER.length, end);
  return identityOf(fstatSync(fd, { bigint: true }));
};
