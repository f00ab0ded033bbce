/** pipe2(2), files in memory, and AF_UNIX sockets of kinds that the runtime cannot open. */
import { closeSync, constants, openSync, writeFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { ERRNO, throwErrno, withErrno } from "#kernel/errno.ts";
import type { SocketAddress, SocketKernel } from "#kernel/kernel.ts";
import { SYSCALL, checked, lastErrno, libc, systemCall } from "#kernel/libc.ts";
import { cString, encodeName } from "#kernel/name-bytes.ts";
import { waitReadable } from "#kernel/readiness.ts";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_SEQPACKET = 5;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const O_CLOEXEC = 0o2000000;
const O_PATH = 0o10000000;
const SHUT_WR = 1;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

/** struct sockaddr_un: the family, then up to 107 bytes and a NUL. */
const MAX_PATH_BYTES = 107;

/** Exported for the room's own tests, which play the listening side. */
export const unixAddress = (path: string): Uint8Array => {
  const bytes = encodeName(path);
  if (bytes.length > MAX_PATH_BYTES) throwErrno("connect", ERRNO["ENAMETOOLONG"] ?? 36, path);
  const address = new Uint8Array(2 + bytes.length + 1);
  address[0] = AF_UNIX;
  address.set(bytes, 2);
  return address;
};

/** Hands `use` a path that fits: where it does not, by a descriptor of its directory. */
export const withShortPath = <T>(path: string, use: (shortPath: string) => T): T => {
  if (encodeName(path).length <= MAX_PATH_BYTES) return use(path);
  const directory = dirname(path);
  const flags = O_PATH | constants.O_DIRECTORY;
  const fd = withErrno("open", directory, () => openSync(directory, flags));
  try {
    return use(`/proc/self/fd/${fd}/${basename(path)}`);
  } finally {
    closeSync(fd);
  }
};

const connectSeqpacket = (path: string): number => {
  const type = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const fd = checked(libc().socket(AF_UNIX, type, 0), "socket", path);
  try {
    withShortPath(path, (shortPath) => {
      const address = unixAddress(shortPath);
      // A unix socket connects at once or not at all: EAGAIN means that the listener's queue is full.
      checked(libc().connect(fd, address, address.length), "connect", path);
    });
    return fd;
  } catch (error) {
    libc().close(fd);
    throw error;
  }
};

const shutdownWrite = (fd: number): void => {
  if (libc().shutdown(fd, SHUT_WR) === 0) return;
  const errno = lastErrno();
  // The other side has gone: nothing is left to shut down.
  if (errno !== ERRNO["ENOTCONN"]) throwErrno("shutdown", errno, `descriptor ${fd}`);
};

/** unix(7): an abstract name follows a NUL byte and ends with the address, not with a NUL. */
const datagramAddress = (path: string): Uint8Array => {
  if (!path.startsWith("@")) return unixAddress(path);
  const address = unixAddress(path).slice(0, -1);
  address[2] = 0;
  return address;
};

const sendDatagram = (path: string, data: Uint8Array): void => {
  const fd = checked(libc().socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket", path);
  try {
    withShortPath(path, (shortPath) => {
      const address = datagramAddress(shortPath);
      checked(libc().connect(fd, address, address.length), "connect", path);
    });
    checked(libc().send(fd, data, data.length, MSG_DONTWAIT | MSG_NOSIGNAL), "send", path);
  } finally {
    libc().close(fd);
  }
};

const ADDRESS_BYTES = 128; // struct sockaddr_storage
const AF_INET = 2;
const AF_INET6 = 10;

const localAddress = (fd: number): SocketAddress => {
  const subject = `descriptor ${fd}`;
  const address = Buffer.alloc(ADDRESS_BYTES);
  const length = new Uint32Array([ADDRESS_BYTES]);
  checked(libc().getsockname(fd, address, length), "getsockname", subject);
  const family = address.readUInt16LE(0);
  if (family === AF_INET) return { family: "inet", port: address.readUInt16BE(2) };
  if (family === AF_INET6) return { family: "inet6", port: address.readUInt16BE(2) };
  if (family !== AF_UNIX) return throwErrno("getsockname", ERRNO["EAFNOSUPPORT"] ?? 97, subject);
  const path = address.toString("utf8", 2, length[0]);
  return { family: "unix", path: path.replace(/^\0/, "@").replace(/\0.*$/s, "") };
};

const F_SETPIPE_SZ = 1031;
const MFD_CLOEXEC = 1;

const becomeFile = (fd: number, text: string): void => {
  const file = checked(
    systemCall(SYSCALL.memfdCreate, cString("config"), MFD_CLOEXEC),
    "memfd_create",
    "config",
  );
  try {
    writeFileSync(file, text);
    checked(systemCall(SYSCALL.dup3, file, fd, O_CLOEXEC), "dup3", `descriptor ${fd}`);
  } finally {
    closeSync(file);
  }
};

export const socketKernel: SocketKernel = {
  pipe: (sizeBytes) => {
    const fds = new Int32Array(2);
    checked(libc().pipe2(fds, O_CLOEXEC), "pipe2", "pipe");
    const [readFd = -1, writeFd = -1] = fds;
    if (sizeBytes !== undefined) libc().fcntl(writeFd, F_SETPIPE_SZ, sizeBytes);
    return { readFd, writeFd };
  },
  becomeFile,
  connectSeqpacket,
  waitReadable,
  shutdownWrite,
  sendDatagram,
  localAddress,
};
