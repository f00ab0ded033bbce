/**
 * The one door to Linux. Rooms above receive these interfaces as constructor arguments; beside them
 * stand the real implementation (`real.ts`) and a recorder for tests (`recorder.fake.ts`) that can
 * be told to fail on its n-th call.
 *
 * Every method throws a NaruError whose `details` hold `{ errno: "ENOENT", call, path }`. Errno
 * becomes an error code here and nowhere else: ENOENT not_found, EEXIST already_exists,
 * EPERM/EACCES permission_denied, EBUSY/ENOTEMPTY conflict, ENOSPC/EDQUOT/EMFILE/ENFILE
 * resource_exhausted, EINVAL/ENAMETOOLONG/ELOOP invalid_argument, ENOSYS/EOPNOTSUPP
 * not_implemented, else internal. All calls are synchronous system calls in the microsecond range;
 * whatever may take longer is not here.
 */

export type MountFlag =
  | "ro"
  | "nosuid"
  | "nodev"
  | "noexec"
  | "remount"
  | "bind"
  | "rec"
  | "private"
  | "slave"
  | "shared"
  | "unbindable"
  | "noatime"
  | "relatime"
  | "nodiratime"
  | "strictatime"
  | "sync"
  | "dirsync"
  | "silent";

/** mount(2) family. Targets must exist. */
export interface MountKernel {
  mount(
    source: string,
    target: string,
    type: string,
    flags: readonly MountFlag[],
    data?: string,
  ): void;
  /**
   * fsopen(2) to fsmount(2): a read-only mount that stands nowhere in any tree of mounts. The descriptor is its
   * root and keeps it; the caller closes it. Options are a key, or a key with a value.
   */
  mountDetached(
    source: string,
    type: string,
    options: readonly (readonly [key: string, value?: string])[],
  ): number;
  /** Detaches (MNT_DETACH) without following symlinks. A target that is not mounted is no error. */
  unmount(target: string): void;
  /** Mount points under `prefix` (itself included), deepest first, from /proc/self/mountinfo. */
  mountsUnder(prefix: string): string[];
}

export interface FileTimes {
  /** Seconds and nanoseconds; nanoseconds in 0..999,999,999. */
  readonly seconds: number;
  readonly nanoseconds: number;
}

export interface FileStat {
  readonly mode: number; // st_mode with the type bits
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly ino: bigint;
  readonly dev: bigint;
  readonly nlink: number;
  readonly mtime: FileTimes;
}

/**
 * What node:fs cannot do, or cannot do safely. Methods ending in `At` take a directory descriptor
 * and a single path component (no slash, not "." or ".."), so that no symlink on the way can lead out.
 */
export interface FileKernel {
  /**
   * openat2(2) with RESOLVE_IN_ROOT: `path` is resolved as if `root` were "/", symlinks included.
   * `flags` are O_* bits (O_CLOEXEC is added). Returns a descriptor that the caller closes.
   */
  openInRoot(root: string | number, path: string, flags: number, mode?: number): number;
  /** openat(2) of one component with O_NOFOLLOW|O_CLOEXEC added. */
  openAt(directoryFd: number, name: string, flags: number, mode?: number): number;
  close(fd: number): void;
  mkdirAt(directoryFd: number, name: string, mode: number): void;
  /** rmdir when `isDirectory`, else unlink. */
  unlinkAt(directoryFd: number, name: string, isDirectory: boolean): void;
  symlinkAt(target: string, directoryFd: number, name: string): void;
  linkAt(fromFd: number, fromName: string, toFd: number, toName: string): void;
  renameAt(fromFd: number, fromName: string, toFd: number, toName: string): void;
  readlinkAt(directoryFd: number, name: string): string;
  /** `mode` holds the type bits (S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK). */
  mknodAt(directoryFd: number, name: string, mode: number, major: number, minor: number): void;
  /** None of these follows a symlink. */
  statAt(directoryFd: number, name: string): FileStat;
  chownAt(directoryFd: number, name: string, uid: number, gid: number): void;
  /** Symlinks have no mode: the caller skips them. Sets all twelve permission bits. */
  chmodAt(directoryFd: number, name: string, mode: number): void;
  setTimesAt(directoryFd: number, name: string, atime: FileTimes, mtime: FileTimes): void;
  /** On the path itself, symlinks not followed. Path-based: only for trees the caller owns alone. */
  setXattr(path: string, name: string, value: Uint8Array): void;
  getXattr(path: string, name: string): Uint8Array | undefined;
  listXattrs(path: string): string[];
  /** Names in the directory, without "." and "..". */
  readDir(directoryFd: number): string[];
  /** Path of an open descriptor (/proc/self/fd/N), for handing to a child or to node:fs. */
  fdPath(fd: number): string;
  /**
   * flock(2), exclusive, on the file of an open descriptor: false when another process has it. Ends
   * with the descriptor, so also with this process however it ends.
   */
  lockFile(fd: number): boolean;
}

export interface ProcessKernel {
  /** kill(2). Returns false when the process is gone (ESRCH). Negative pids address groups. */
  kill(pid: number, signal: number): boolean;
  /** pidfd_open(2) + poll: resolves when the process has ended; at once when it is gone. */
  waitForEnd(pid: number, signal?: AbortSignal): Promise<void>;
  /** Field 22 of /proc/PID/stat (clock ticks since boot), undefined when gone: tells reused pids apart. */
  startTime(pid: number): bigint | undefined;
  /** Current hard limit of RLIMIT_<name> of this process, "infinity" as 2^64-1. */
  hardLimit(name: RlimitName): bigint;
  /** Sets the soft limit of this process (and of children to come) to the hard one; returns it. */
  raiseSoftLimit(name: RlimitName): bigint;
  /** Sets the limits of another process, and so of its children to come; 2^64-1 is none. Throws not_found when it is gone. */
  limitProcess(pid: number, name: RlimitName, soft: bigint, hard: bigint): void;
  /**
   * Unmaps the pages of this program's own code. Those that run again come back from the page cache at a
   * microsecond each; what only the start needed does not count as resident any more (madvise(2)).
   */
  releaseCode(): void;
}

export type RlimitName =
  | "core"
  | "cpu"
  | "data"
  | "fsize"
  | "locks"
  | "memlock"
  | "msgqueue"
  | "nice"
  | "nofile"
  | "nproc"
  | "rss"
  | "rtprio"
  | "rttime"
  | "sigpending"
  | "stack"
  | "as";

export interface PipeEnds {
  readonly readFd: number;
  readonly writeFd: number;
}

/** What a socket is bound to. An unnamed unix socket has the path "". */
export type SocketAddress =
  | { readonly family: "unix"; readonly path: string }
  | { readonly family: "inet" | "inet6"; readonly port: number };

/** Descriptors and sockets that Bun's own API cannot make. */
export interface SocketKernel {
  /**
   * pipe2(O_CLOEXEC). The caller closes both ends. `sizeBytes`: for bulk, fewer turns between writer and
   * reader (F_SETPIPE_SZ); where the host's limit forbids it the pipe stays as it is.
   */
  pipe(sizeBytes?: number): PipeEnds;
  /**
   * The open descriptor `fd` becomes that of a file without a name (memfd_create(2), dup3(2)): whoever opens its path
   * in /proc from now on reads `text`, from its beginning. Who has it open already is not concerned.
   */
  becomeFile(fd: number, text: string): void;
  /** Connects an AF_UNIX SOCK_SEQPACKET socket; returns its non-blocking descriptor. Paths over 107 bytes go by /proc/self/fd. */
  connectSeqpacket(path: string): number;
  /** Blocks the thread until `fd` can be read, has ended or failed: for children that do nothing else. */
  waitReadable(fd: number): void;
  /** shutdown(fd, SHUT_WR). */
  shutdownWrite(fd: number): void;
  /**
   * One datagram to the AF_UNIX SOCK_DGRAM socket at `path`; "@name" is in the abstract namespace.
   * Does not wait: EAGAIN when the receiver's queue is full, ECONNREFUSED when nobody has it open.
   */
  sendDatagram(path: string, data: Uint8Array): void;
  /** getsockname(2). Throws when `fd` is no socket (ENOTSOCK, EBADF) or of another family. */
  localAddress(fd: number): SocketAddress;
}

/**
 * Network and mount namespaces. Entering and leaving happens inside one synchronous call:
 * unshare/setns act on the calling thread only, so no await may come between.
 */
export interface NamespaceKernel {
  /**
   * A new network namespace with `lo` up, which `path` (a symbolic link, made here) leads to. This
   * process keeps it: until `removeNetns`, `handNetnsOver`, or its own end.
   */
  createNetns(path: string): void;
  /** From now on the process `pid`, which lives in the namespace, keeps it; `path` leads there. */
  handNetnsOver(path: string, pid: number): void;
  /** Removes the path; the kernel drops the namespace when its last process is gone. Idempotent. */
  removeNetns(path: string): void;
  /** Runs `work` (synchronous!) with this thread inside the namespace at `path`. */
  inNetns<T>(path: string, work: () => T): T;
  /**
   * Runs `work` (synchronous!) with this thread in a new mount namespace: a copy of the present one
   * that goes on receiving its mounts, while what `work` mounts is seen in the copy alone. The copy
   * lives as long as a process that `work` started, or a descriptor into it that `work` opened.
   */
  inNewMountNamespace<T>(work: () => T): T;
  /** Runs `work` (synchronous!) with this thread in the mount namespace of the process `pid`. */
  inMountNamespaceOf<T>(pid: number, work: () => T): T;
}

export interface Kernel
  extends MountKernel, FileKernel, ProcessKernel, SocketKernel, NamespaceKernel {}
