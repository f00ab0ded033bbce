/** openat2(2), the *at calls on single components, extended attributes, statx(2). */
import { constants, readdirSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import { ERRNO, throwErrno, withErrno } from "#kernel/errno.ts";
import type { FileKernel, FileStat, FileTimes } from "#kernel/kernel.ts";
import { SYSCALL, checked, lastErrno, libc, systemCall } from "#kernel/libc.ts";
import { cString, decodeName } from "#kernel/name-bytes.ts";
import { getXattr, listXattrs, setXattr } from "#kernel/xattr.ts";

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;
const O_CLOEXEC = 0o2000000;
const O_PATH = 0o10000000;
const RESOLVE_NO_MAGICLINKS = 0x02n;
const RESOLVE_IN_ROOT = 0x10n;
const LOCK_EX = 2;
const LOCK_NB = 4;
const STATX_BASIC_STATS = 0x7ff;

/** openat2 answers EAGAIN when a rename elsewhere makes ".." uncertain; the next try settles it. */
const OPEN_RETRIES = 64;

const component = (name: string): Uint8Array => {
  if (name === "" || name === "." || name === ".." || name.includes("/")) {
    throw new NaruError("invalid_argument", `"${name}" is not a single file name`, {
      details: { errno: "EINVAL", call: "at", path: name },
    });
  }
  return cString(name);
};

const openHow = (rootFd: number, path: string, flags: number, mode: number): number => {
  const how = new BigUint64Array([
    BigInt(flags | O_CLOEXEC),
    // The kernel refuses a mode where nothing can be created.
    (flags & constants.O_CREAT) === 0 ? 0n : BigInt(mode),
    RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
  ]);
  const cPath = cString(path === "" ? "." : path);
  for (let tries = 1; ; tries++) {
    const fd = systemCall(SYSCALL.openat2, rootFd, cPath, how, how.byteLength);
    if (fd >= 0) return fd;
    const errno = lastErrno();
    if (errno !== ERRNO["EAGAIN"] || tries === OPEN_RETRIES) throwErrno("openat2", errno, path);
  }
};

const openInRoot = (root: string | number, path: string, flags: number, mode = 0): number => {
  if (typeof root === "number") return openHow(root, path, flags, mode);
  const rootFlags = O_PATH | constants.O_DIRECTORY | O_CLOEXEC;
  const rootFd = checked(libc().openat(AT_FDCWD, cString(root), rootFlags, 0), "open", root);
  try {
    return openHow(rootFd, path, flags, mode);
  } finally {
    libc().close(rootFd);
  }
};

const STATX = new DataView(new ArrayBuffer(256));
const STATX_BYTES = new Uint8Array(STATX.buffer);

/** gnu_dev_makedev(3): how the C library packs a device number. */
export const makeDev = (major: number, minor: number): bigint => {
  const [a, b] = [BigInt(major), BigInt(minor)];
  return (
    ((a & 0xfffff000n) << 32n) | ((a & 0xfffn) << 8n) | ((b & 0xffffff00n) << 12n) | (b & 0xffn)
  );
};

/** struct statx, the one stat layout that is the same on every architecture. */
const statAt = (directoryFd: number, name: string): FileStat => {
  const result = libc().statx(
    directoryFd,
    component(name),
    AT_SYMLINK_NOFOLLOW,
    STATX_BASIC_STATS,
    STATX_BYTES,
  );
  checked(result, "statx", name);
  return {
    nlink: STATX.getUint32(16, true),
    uid: STATX.getUint32(20, true),
    gid: STATX.getUint32(24, true),
    mode: STATX.getUint16(28, true),
    ino: STATX.getBigUint64(32, true),
    size: Number(STATX.getBigUint64(40, true)),
    mtime: {
      seconds: Number(STATX.getBigInt64(112, true)),
      nanoseconds: STATX.getUint32(120, true),
    },
    rdevMajor: STATX.getUint32(128, true),
    rdevMinor: STATX.getUint32(132, true),
    dev: makeDev(STATX.getUint32(136, true), STATX.getUint32(140, true)),
  };
};

let hasFchmodat2 = true;

/** Linux before 6.6 has no fchmodat2; the C library then goes by an O_PATH descriptor, also safely. */
const chmodAt = (directoryFd: number, name: string, mode: number): void => {
  const cName = component(name);
  const bits = mode & 0o7777;
  if (hasFchmodat2) {
    if (systemCall(SYSCALL.fchmodat2, directoryFd, cName, bits, AT_SYMLINK_NOFOLLOW) === 0) return;
    const errno = lastErrno();
    if (errno !== ERRNO["ENOSYS"]) throwErrno("fchmodat2", errno, name);
    hasFchmodat2 = false;
  }
  checked(libc().fchmodat(directoryFd, cName, bits, AT_SYMLINK_NOFOLLOW), "fchmodat", name);
};

const setTimesAt = (
  directoryFd: number,
  name: string,
  atime: FileTimes,
  mtime: FileTimes,
): void => {
  const times = new BigInt64Array([
    BigInt(atime.seconds),
    BigInt(atime.nanoseconds),
    BigInt(mtime.seconds),
    BigInt(mtime.nanoseconds),
  ]);
  const result = libc().utimensat(directoryFd, component(name), times, AT_SYMLINK_NOFOLLOW);
  checked(result, "utimensat", name);
};

const readlinkAt = (directoryFd: number, name: string): string => {
  const buffer = new Uint8Array(4096); // PATH_MAX: no symlink holds more
  const length = libc().readlinkat(directoryFd, component(name), buffer, buffer.length);
  return decodeName(buffer.subarray(0, checked(length, "readlinkat", name)));
};

const fdPath = (fd: number): string => `/proc/${process.pid}/fd/${fd}`;

export const fileKernel: FileKernel = {
  openInRoot,
  openAt: (directoryFd, name, flags, mode = 0) => {
    const all = flags | constants.O_NOFOLLOW | O_CLOEXEC;
    return checked(libc().openat(directoryFd, component(name), all, mode), "openat", name);
  },
  close: (fd) => void checked(libc().close(fd), "close", String(fd)),
  mkdirAt: (directoryFd, name, mode) =>
    void checked(libc().mkdirat(directoryFd, component(name), mode), "mkdirat", name),
  unlinkAt: (directoryFd, name, isDirectory) => {
    const flags = isDirectory ? AT_REMOVEDIR : 0;
    checked(libc().unlinkat(directoryFd, component(name), flags), "unlinkat", name);
  },
  symlinkAt: (target, directoryFd, name) =>
    void checked(
      libc().symlinkat(cString(target), directoryFd, component(name)),
      "symlinkat",
      name,
    ),
  linkAt: (fromFd, fromName, toFd, toName) =>
    void checked(
      libc().linkat(fromFd, component(fromName), toFd, component(toName), 0),
      "linkat",
      toName,
    ),
  renameAt: (fromFd, fromName, toFd, toName) =>
    void checked(
      libc().renameat(fromFd, component(fromName), toFd, component(toName)),
      "renameat",
      fromName,
    ),
  readlinkAt,
  mknodAt: (directoryFd, name, mode, major, minor) => {
    const result = libc().mknodat(directoryFd, component(name), mode, makeDev(major, minor));
    checked(result, "mknodat", name);
  },
  statAt,
  chownAt: (directoryFd, name, uid, gid) =>
    void checked(
      libc().fchownat(directoryFd, component(name), uid, gid, AT_SYMLINK_NOFOLLOW),
      "fchownat",
      name,
    ),
  chmodAt,
  setTimesAt,
  setXattr,
  getXattr,
  listXattrs,
  readDir: (directoryFd) => {
    const path = fdPath(directoryFd);
    const names = withErrno("readdir", path, () => readdirSync(path, { encoding: "buffer" }));
    return names.map((name) => decodeName(name));
  },
  fdPath,
  lockFile: (fd) => {
    if (libc().flock(fd, LOCK_EX | LOCK_NB) === 0) return true;
    const errno = lastErrno();
    return errno === ERRNO["EAGAIN"] ? false : throwErrno("flock", errno, `descriptor ${fd}`);
  },
};
