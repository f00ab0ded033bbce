/**
 * The C library, opened at the first call and once per thread. Everything that reaches the kernel by
 * FFI goes through the table below.
 *
 * errno is read by a plain load from the thread's own errno word right after the call: nothing runs
 * in between that could change it.
 */
import { FFIType, type Pointer, dlopen, read } from "bun:ffi";
import { throwErrno } from "#kernel/errno.ts";

const open = () =>
  dlopen("libc.so.6", {
    __errno_location: { args: [], returns: "ptr" },
    // mount(2), umount2(2)
    mount: { args: ["ptr", "ptr", "ptr", "u64", "ptr"], returns: "i32" },
    umount2: { args: ["ptr", "i32"], returns: "i32" },
    // Files: openat(2) and its family.
    openat: { args: ["i32", "ptr", "i32", "u32"], returns: "i32" },
    close: { args: ["i32"], returns: "i32" },
    flock: { args: ["i32", "i32"], returns: "i32" },
    fcntl: { args: ["i32", "i32", "i64"], returns: "i32" },
    mkdirat: { args: ["i32", "ptr", "u32"], returns: "i32" },
    unlinkat: { args: ["i32", "ptr", "i32"], returns: "i32" },
    symlinkat: { args: ["ptr", "i32", "ptr"], returns: "i32" },
    linkat: { args: ["i32", "ptr", "i32", "ptr", "i32"], returns: "i32" },
    renameat: { args: ["i32", "ptr", "i32", "ptr"], returns: "i32" },
    readlinkat: { args: ["i32", "ptr", "ptr", "u64"], returns: FFIType.i64_fast },
    mknodat: { args: ["i32", "ptr", "u32", "u64"], returns: "i32" },
    statx: { args: ["i32", "ptr", "i32", "u32", "ptr"], returns: "i32" },
    fchownat: { args: ["i32", "ptr", "u32", "u32", "i32"], returns: "i32" },
    fchmodat: { args: ["i32", "ptr", "u32", "i32"], returns: "i32" },
    utimensat: { args: ["i32", "ptr", "ptr", "i32"], returns: "i32" },
    lsetxattr: { args: ["ptr", "ptr", "ptr", "u64", "i32"], returns: "i32" },
    lgetxattr: { args: ["ptr", "ptr", "ptr", "u64"], returns: FFIType.i64_fast },
    llistxattr: { args: ["ptr", "ptr", "u64"], returns: FFIType.i64_fast },
    sendfile: { args: ["i32", "i32", "ptr", "u64"], returns: FFIType.i64_fast },
    preadv2: { args: ["i32", "ptr", "i32", "i64", "i32"], returns: FFIType.i64_fast },
    // Processes and limits.
    kill: { args: ["i32", "i32"], returns: "i32" },
    getrlimit: { args: ["i32", "ptr"], returns: "i32" },
    setrlimit: { args: ["i32", "ptr"], returns: "i32" },
    prlimit: { args: ["i32", "i32", "ptr", "ptr"], returns: "i32" },
    mmap: { args: ["ptr", "u64", "i32", "i32", "i32", "i64"], returns: FFIType.i64_fast },
    munmap: { args: ["ptr", "u64"], returns: "i32" },
    madvise: { args: ["u64", "u64", "i32"], returns: "i32" },
    // Descriptors and sockets.
    poll: { args: ["ptr", "u64", "i32"], returns: "i32" },
    epoll_create1: { args: ["i32"], returns: "i32" },
    epoll_ctl: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
    epoll_wait: { args: ["i32", "ptr", "i32", "i32"], returns: "i32" },
    pipe2: { args: ["ptr", "i32"], returns: "i32" },
    eventfd: { args: ["u32", "i32"], returns: "i32" },
    inotify_init1: { args: ["i32"], returns: "i32" },
    inotify_add_watch: { args: ["i32", "ptr", "u32"], returns: "i32" },
    inotify_rm_watch: { args: ["i32", "i32"], returns: "i32" },
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
    accept4: { args: ["i32", "ptr", "ptr", "i32"], returns: "i32" },
    listen: { args: ["i32", "i32"], returns: "i32" },
    connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
    getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
    shutdown: { args: ["i32", "i32"], returns: "i32" },
    setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
    send: { args: ["i32", "ptr", "u64", "i32"], returns: FFIType.i64_fast },
    recv: { args: ["i32", "ptr", "u64", "i32"], returns: FFIType.i64_fast },
    recvmmsg: { args: ["i32", "ptr", "u32", "i32", "ptr"], returns: "i32" },
    ioctl: { args: ["i32", "u64", "ptr"], returns: "i32" },
    // Namespaces.
    unshare: { args: ["i32"], returns: "i32" },
    fchdir: { args: ["i32"], returns: "i32" },
    setns: { args: ["i32", "i32"], returns: "i32" },
    syscall: { args: ["i64", "ptr", "ptr", "ptr", "ptr", "ptr"], returns: FFIType.i64_fast },
  }).symbols;

export type Libc = ReturnType<typeof open>;

let symbols: Libc | undefined;
let errnoWord: Pointer | undefined;

export const libc = (): Libc => {
  if (symbols === undefined) {
    symbols = open();
    errnoWord = Number(symbols.__errno_location()) as Pointer;
  }
  return symbols;
};

/** errno of the call just made on this thread. Nothing may be called in between. */
export const lastErrno = (): number => (errnoWord === undefined ? 0 : read.i32(errnoWord, 0));

/** Returns `result` as a number, or throws the error of a call that answered -1. */
export const checked = (result: number | bigint, call: string, subject: string): number =>
  result < 0 ? throwErrno(call, lastErrno(), subject) : Number(result);

/**
 * System calls that the library has no function for, or is not asked for one. Since Linux 5.1 a number is the same on
 * every architecture; older ones are those of x86-64 and of <asm-generic/unistd.h>.
 */
export const SYSCALL = {
  dup3: process.arch === "x64" ? 292 : 24,
  memfdCreate: process.arch === "x64" ? 319 : 279,
  ioUringSetup: 425,
  ioUringEnter: 426,
  pidfdOpen: 434,
  quotactlFd: 443,
  openat2: 437,
  moveMount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  fchmodat2: 452,
} as const;

type Word = number | Uint8Array | Uint32Array | BigUint64Array | null;

/** Integers and addresses share registers: a small non-negative integer passes as an address. */
const word = (value: Word | undefined): Exclude<Word, number> | Pointer =>
  typeof value === "number" ? (value as Pointer) : (value ?? null);

/** syscall(2). Answers the result, or -1 with `lastErrno()` set. Numbers must not be negative. */
export const systemCall = (number: number, ...args: readonly Word[]): number =>
  Number(
    libc().syscall(
      number,
      word(args[0]),
      word(args[1]),
      word(args[2]),
      word(args[3]),
      word(args[4]),
    ),
  );

const F_DUPFD_CLOEXEC = 1030;

/** A second descriptor for the same open file, close-on-exec, that the caller closes. */
export const duplicate = (fd: number): number =>
  checked(libc().fcntl(fd, F_DUPFD_CLOEXEC, 3), "fcntl", `descriptor ${fd}`);
