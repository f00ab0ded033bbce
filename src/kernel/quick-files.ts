/**
 * Looking at files by a handful of system calls, for commands that are over within milliseconds: node:fs takes two of
 * them to load, this table a third of one. What fails is undefined here, and node:fs has the words for it.
 */
import { FFIType, type Pointer, dlopen, read } from "bun:ffi";

export interface QuickStat {
  readonly kind: "file" | "directory" | "symlink" | "fifo" | "other";
  /** Permission bits, setuid, setgid and sticky. */
  readonly mode: number;
  readonly sizeBytes: number;
  readonly modifiedNs: bigint;
}

const open = () =>
  dlopen("libc.so.6", {
    __errno_location: { args: [], returns: "ptr" },
    // open(2) without a mode: it must not create.
    open: { args: ["ptr", "i32"], returns: "i32" },
    close: { args: ["i32"], returns: "i32" },
    read: { args: ["i32", "ptr", "u64"], returns: FFIType.i64_fast },
    // getdents64(3), glibc 2.30
    getdents64: { args: ["i32", "ptr", "u64"], returns: FFIType.i64_fast },
    statx: { args: ["i32", "ptr", "i32", "u32", "ptr"], returns: "i32" },
    readlink: { args: ["ptr", "ptr", "u64"], returns: FFIType.i64_fast },
    realpath: { args: ["ptr", "ptr"], returns: "ptr" },
  }).symbols;

let opened: ReturnType<typeof open> | undefined;
const libc = (): ReturnType<typeof open> => (opened ??= open());

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const STATX_BASIC_STATS = 0x7ff;
/** struct statx, the one stat layout that is the same on every architecture. */
const STATX = { bytes: 256, mode: 28, size: 40, modifiedSeconds: 112, modifiedNs: 120 };
const S_IFMT = 0o170000;
const KINDS: Readonly<Record<number, QuickStat["kind"]>> = {
  0o010000: "fifo",
  0o040000: "directory",
  0o100000: "file",
  0o120000: "symlink",
};
const O_CLOEXEC = 0o2000000;
/** Of this architecture: x86's O_DIRECTORY is arm's O_DIRECT. */
const O_DIRECTORY = process.arch === "x64" ? 0o200000 : 0o40000;
const PATH_MAX = 4096;
/** struct linux_dirent64. */
const ENTRY = { length: 16, name: 19 };
const LIST_BYTES = 64 * 1024;

const scratch = Buffer.alloc(STATX.bytes);
let list: Buffer | undefined;

const nameOf = (path: string): Buffer => Buffer.from(`${path}\0`);

/** A path with a zero byte in it is none. */
const isPath = (path: string): boolean => !path.includes("\0");

const statOf = (path: string, flags: number): QuickStat | undefined => {
  if (!isPath(path)) return undefined;
  const { statx } = libc();
  if (statx(AT_FDCWD, nameOf(path), flags, STATX_BASIC_STATS, scratch) !== 0) return undefined;
  const mode = scratch.readUInt16LE(STATX.mode);
  const seconds = scratch.readBigInt64LE(STATX.modifiedSeconds);
  return {
    kind: KINDS[mode & S_IFMT] ?? "other",
    mode: mode & 0o7777,
    sizeBytes: Number(scratch.readBigUInt64LE(STATX.size)),
    modifiedNs: seconds * 1_000_000_000n + BigInt(scratch.readUInt32LE(STATX.modifiedNs)),
  };
};

/** Of what a link leads to. */
export const quickStat = (path: string): QuickStat | undefined => statOf(path, 0);

export const quickLstat = (path: string): QuickStat | undefined =>
  statOf(path, AT_SYMLINK_NOFOLLOW);

export const quickReadlink = (path: string): string | undefined => {
  if (!isPath(path)) return undefined;
  const target = Buffer.allocUnsafe(PATH_MAX);
  const length = Number(libc().readlink(nameOf(path), target, target.length));
  return length < 0 || length === target.length ? undefined : target.toString("utf8", 0, length);
};

export const quickRealpath = (path: string): string | undefined => {
  if (!isPath(path)) return undefined;
  const target = Buffer.alloc(PATH_MAX);
  if (libc().realpath(nameOf(path), target) === null) return undefined;
  return target.toString("utf8", 0, target.indexOf(0));
};

const [ENOENT, ENOTDIR] = [2, 20];

/** Nothing is there, or at the end of the link that is. */
export const isAbsent = (path: string): boolean => {
  const errnoWord = libc().__errno_location() as Pointer;
  if (!isPath(path) || statOf(path, 0) !== undefined) return false;
  const errno = read.i32(errnoWord, 0);
  return errno === ENOENT || errno === ENOTDIR;
};

const using = <T>(path: string, flags: number, work: (fd: number) => T): T | undefined => {
  const fd = isPath(path) ? libc().open(nameOf(path), flags | O_CLOEXEC) : -1;
  if (fd < 0) return undefined;
  try {
    return work(fd);
  } finally {
    libc().close(fd);
  }
};

/** Names in a directory without "." and "..", in no order. */
export const quickNames = (path: string): string[] | undefined =>
  using(path, O_DIRECTORY, (fd) => {
    list ??= Buffer.alloc(LIST_BYTES);
    const names: string[] = [];
    for (;;) {
      const length = Number(libc().getdents64(fd, list, list.length));
      if (length < 0) return undefined;
      if (length === 0) return names;
      for (let at = 0; at < length; at += list.readUInt16LE(at + ENTRY.length)) {
        const name = list.toString("utf8", at + ENTRY.name, list.indexOf(0, at + ENTRY.name));
        if (name !== "." && name !== "..") names.push(name);
      }
    }
  });

/** A regular file's content, or that of one of proc(5), whose size is told as 0. Others may keep one waiting. */
export const quickRead = (path: string): Buffer | undefined => {
  const stat = quickStat(path);
  if (stat?.kind !== "file") return undefined;
  return using(path, 0, (fd) => {
    const parts: Buffer[] = [];
    for (;;) {
      const part = Buffer.allocUnsafeSlow(Math.max(stat.sizeBytes + 1, PATH_MAX));
      const length = Number(libc().read(fd, part, part.length));
      if (length < 0) return undefined;
      if (length === 0) return parts.length === 1 ? parts[0] : Buffer.concat(parts);
      parts.push(part.subarray(0, length));
    }
  });
};
