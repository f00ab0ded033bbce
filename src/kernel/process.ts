/** kill(2), pidfd_open(2), getrlimit(2), setrlimit(2), prlimit(2) and /proc/PID/stat. */
import { readFileSync, readlinkSync } from "node:fs";
import { NaruError, invariant } from "#lib/errors.ts";
import { ERRNO, throwErrno } from "#kernel/errno.ts";
import type { ProcessKernel, RlimitName } from "#kernel/kernel.ts";
import { SYSCALL, checked, lastErrno, libc, systemCall } from "#kernel/libc.ts";
import { untilReadable } from "#kernel/readiness.ts";

/** RLIMIT_* of <asm-generic/resource.h>: x86, arm64 and riscv agree. */
const RLIMITS: Readonly<Record<RlimitName, number>> = {
  cpu: 0,
  fsize: 1,
  data: 2,
  stack: 3,
  core: 4,
  rss: 5,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  as: 9,
  locks: 10,
  sigpending: 11,
  msgqueue: 12,
  nice: 13,
  rtprio: 14,
  rttime: 15,
};

const kill = (pid: number, signal: number): boolean => {
  // 0 is the own group and -1 is everyone: no caller can mean that.
  if (!Number.isInteger(pid) || pid === 0 || pid === -1) {
    throw new NaruError("invalid_argument", `"${pid}" is not a process to send a signal to`, {
      details: { errno: "EINVAL", call: "kill", path: String(pid) },
    });
  }
  if (libc().kill(pid, signal) === 0) return true;
  const errno = lastErrno();
  return errno === ERRNO["ESRCH"] ? false : throwErrno("kill", errno, `process ${pid}`);
};

const waitForEnd = async (pid: number, signal?: AbortSignal): Promise<void> => {
  signal?.throwIfAborted();
  const fd = systemCall(SYSCALL.pidfdOpen, pid, 0);
  if (fd < 0) {
    const errno = lastErrno();
    if (errno === ERRNO["ESRCH"]) return;
    throwErrno("pidfd_open", errno, `process ${pid}`);
  }
  try {
    await untilReadable(fd, signal);
  } finally {
    libc().close(fd);
  }
};

const startTime = (pid: number): bigint | undefined => {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
  // The command (field 2) may hold blanks and brackets: count from the last one. Field 3 comes next.
  const field = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  return field === undefined ? undefined : BigInt(field);
};

/** struct rlimit: rlim_cur, rlim_max. */
const limitsOf = (name: RlimitName): BigUint64Array => {
  const limits = new BigUint64Array(2);
  checked(libc().getrlimit(RLIMITS[name], limits), "getrlimit", name);
  return limits;
};

const MADV_DONTNEED = 4;

/** proc_pid_maps(5): "start-end perms offset device inode path". */
const releaseCode = (): void => {
  const program = readlinkSync("/proc/self/exe");
  for (const line of readFileSync("/proc/self/maps", "latin1").split("\n")) {
    const [range = "", access, , , , path] = line.split(/ +/);
    // Code alone: what is written at load time (relocated data) would be lost.
    if (access !== "r-xp" || path !== program) continue;
    const [start = "0", end = "0"] = range.split("-");
    const from = Number.parseInt(start, 16);
    const result = libc().madvise(from, Number.parseInt(end, 16) - from, MADV_DONTNEED);
    checked(result, "madvise", range);
  }
};

export const processKernel: ProcessKernel = {
  kill,
  waitForEnd,
  startTime,
  releaseCode,
  hardLimit: (name) => limitsOf(name)[1] ?? 0n,
  limitProcess: (pid, name, soft, hard) => {
    // 0 is this very process: no caller can mean that.
    invariant(pid > 0, "limits are for another process");
    const limits = new BigUint64Array([soft, hard]);
    checked(libc().prlimit(pid, RLIMITS[name], limits, null), "prlimit", `process ${pid}`);
  },
  raiseSoftLimit: (name) => {
    const limits = limitsOf(name);
    const hard = limits[1] ?? 0n;
    if (limits[0] !== hard) {
      limits[0] = hard;
      checked(libc().setrlimit(RLIMITS[name], limits), "setrlimit", name);
    }
    return hard;
  },
};
