/**
 * Project quotas: a directory's tree is counted as one project, and the file system refuses what goes
 * beyond the project's limit. ioctl_fsxattr (FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR), quotactl_fd(2).
 *
 * The file system keeps both, the project in the directory's inode and the limit in its quota file:
 * nothing has to be brought back after a restart.
 */
import { closeSync, constants, openSync } from "node:fs";
import { dirname } from "node:path";
import { randomHex } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import { errnoName, throwErrno } from "#kernel/errno.ts";
import { SYSCALL, lastErrno, libc, systemCall } from "#kernel/libc.ts";

export interface QuotaKernel {
  /**
   * What is made below the directory from now on may take `sizeBytes` together (rounded up to 512). The directory must
   * be empty. Throws not_implemented where the file system counts no projects; nothing is changed then.
   */
  limitTree(path: string, sizeBytes: number): void;
  /** The limit that `limitTree` gave goes, if it holds still; the project's number is free again when the tree is. Idempotent. */
  unlimitTree(path: string): void;
}

const FS_IOC_FSGETXATTR = 0x801c581fn;
const FS_IOC_FSSETXATTR = 0x401c5820n;
/** struct fsxattr: xflags, extsize, nextents, projid, cowextsize, padding. */
const FSXATTR_BYTES = 28;
const XFLAGS_AT = 0;
const PROJECT_AT = 12;
const FS_XFLAG_PROJINHERIT = 0x200;

const PRJQUOTA = 2;
const Q_XGETQUOTA = (0x5803 << 8) | PRJQUOTA;
const Q_XSETQLIM = (0x5804 << 8) | PRJQUOTA;
/** struct fs_disk_quota: version, flags, fieldmask, id, limits in blocks of 512 bytes, what is used. */
const DISK_QUOTA_BYTES = 112;
const BLOCK_BYTES = 512;
const FS_PROJ_QUOTA = 2;
const FS_DQ_BSOFT = 4;
const FS_DQ_BHARD = 8;
const HARD_AT = 8;
const SOFT_AT = 16;
const USED_BLOCKS_AT = 40;
const USED_INODES_AT = 48;

/** What file systems answer that count no projects, or were mounted without. */
const UNSUPPORTED = new Set(["ENOTTY", "EOPNOTSUPP", "ENOSYS", "ESRCH", "EINVAL", "ENOTBLK"]);

const failed = (call: string, path: string, errno = lastErrno()): never => {
  if (!UNSUPPORTED.has(errnoName(errno))) throwErrno(call, errno, path);
  throw new NaruError(
    "not_implemented",
    `the file system of "${path}" counts no projects: mount it with the option "prjquota" (ext4: made with "-O project,quota"), Linux 5.14 or later`,
    { details: { errno: errnoName(errno), call, path } },
  );
};

const withDirectory = <T>(path: string, work: (fd: number) => T): T => {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    return work(fd);
  } finally {
    closeSync(fd);
  }
};

/** undefined where the file system knows no such attributes. */
const attributesOf = (fd: number): DataView | undefined => {
  const bytes = new Uint8Array(FSXATTR_BYTES);
  if (libc().ioctl(fd, FS_IOC_FSGETXATTR, bytes) < 0) return undefined;
  return new DataView(bytes.buffer);
};

const projectOf = (path: string): number =>
  withDirectory(path, (fd) => attributesOf(fd)?.getUint32(PROJECT_AT, true) ?? 0);

const setProject = (fd: number, path: string, project: number, inherit: boolean): void => {
  const attributes = attributesOf(fd);
  if (attributes === undefined) return failed("ioctl", path);
  const flags = attributes.getUint32(XFLAGS_AT, true);
  const wanted = inherit ? flags | FS_XFLAG_PROJINHERIT : flags & ~FS_XFLAG_PROJINHERIT;
  attributes.setUint32(XFLAGS_AT, wanted >>> 0, true);
  attributes.setUint32(PROJECT_AT, project, true);
  const bytes = new Uint8Array(attributes.buffer);
  if (libc().ioctl(fd, FS_IOC_FSSETXATTR, bytes) < 0) failed("ioctl", path);
};

/** 0 = no limit. Answers the number of the error; 0 when it is done. */
const setLimit = (fd: number, project: number, sizeBytes: number): number => {
  const quota = new DataView(new ArrayBuffer(DISK_QUOTA_BYTES));
  quota.setInt8(0, 1);
  quota.setInt8(1, FS_PROJ_QUOTA);
  quota.setUint16(2, FS_DQ_BSOFT | FS_DQ_BHARD, true);
  quota.setUint32(4, project, true);
  const blocks = BigInt(Math.ceil(sizeBytes / BLOCK_BYTES));
  quota.setBigUint64(HARD_AT, blocks, true);
  quota.setBigUint64(SOFT_AT, blocks, true);
  const bytes = new Uint8Array(quota.buffer);
  const result = systemCall(SYSCALL.quotactlFd, fd, Q_XSETQLIM, project, bytes);
  return result < 0 ? lastErrno() : 0;
};

/** Nobody counts under this number: no limit, nothing used. */
const isFree = (fd: number, project: number): boolean => {
  const bytes = new Uint8Array(DISK_QUOTA_BYTES);
  // No entry for it is an error (ENOENT); what else is wrong the next call tells.
  if (systemCall(SYSCALL.quotactlFd, fd, Q_XGETQUOTA, project, bytes) < 0) return true;
  const quota = new DataView(bytes.buffer);
  return [HARD_AT, SOFT_AT, USED_BLOCKS_AT, USED_INODES_AT].every(
    (at) => quota.getBigUint64(at, true) === 0n,
  );
};

/** Other daemons and administrators count on the same file system: a number is drawn, not counted up. */
const drawProject = (fd: number): number => {
  for (;;) {
    const project = Number.parseInt(randomHex(4), 16) >>> 1;
    if (project >= 1 << 20 && isFree(fd, project)) return project;
  }
};

const limitTree = (path: string, sizeBytes: number): void =>
  withDirectory(path, (fd) => {
    const before = attributesOf(fd)?.getUint32(PROJECT_AT, true) ?? 0;
    const project = drawProject(fd);
    setProject(fd, path, project, true);
    const errno = setLimit(fd, project, sizeBytes);
    if (errno === 0) return;
    setProject(fd, path, before, false);
    failed("quotactl_fd", path, errno);
  });

const unlimitTree = (path: string): void => {
  const project = projectOf(path);
  // What an administrator gave to the place as a whole is not ours.
  if (project === 0 || project === projectOf(dirname(path))) return;
  const errno = withDirectory(path, (fd) => setLimit(fd, project, 0));
  // Mounted without quotas by now: nothing is limited, and the tree can go.
  if (errno !== 0 && !UNSUPPORTED.has(errnoName(errno))) throwErrno("quotactl_fd", errno, path);
};

export const quotaKernel: QuotaKernel = { limitTree, unlimitTree };
