/** mount(2), umount2(2) and /proc/self/mountinfo. */
import { readFileSync, realpathSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import { ERRNO, throwErrno } from "#kernel/errno.ts";
import type { MountFlag, MountKernel } from "#kernel/kernel.ts";
import { checked, lastErrno, libc } from "#kernel/libc.ts";
import { mountByContext, mountDetached } from "#kernel/mount-context.ts";
import { cString } from "#kernel/name-bytes.ts";

/** MS_* of <linux/mount.h>. */
const BITS: Readonly<Record<MountFlag, number>> = {
  ro: 1,
  nosuid: 2,
  nodev: 4,
  noexec: 8,
  remount: 32,
  noatime: 1024,
  sync: 16,
  dirsync: 128,
  nodiratime: 2048,
  strictatime: 1 << 24,
  bind: 4096,
  rec: 16384,
  silent: 32768,
  unbindable: 1 << 17,
  private: 1 << 18,
  slave: 1 << 19,
  shared: 1 << 20,
  relatime: 1 << 21,
};

const PROPAGATION: ReadonlySet<MountFlag> = new Set(["private", "slave", "shared", "unbindable"]);
const PER_MOUNT: ReadonlySet<MountFlag> = new Set([
  "ro",
  "nosuid",
  "nodev",
  "noexec",
  "noatime",
  "relatime",
  "nodiratime",
  "strictatime",
]);

const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;

/** The kernel copies one page of options and drops the rest without a word. */
const MAX_DATA_BYTES = 4095;

const bitsOf = (flags: Iterable<MountFlag>): number => {
  let bits = 0;
  for (const flag of flags) bits |= BITS[flag];
  return bits;
};

const mountOnce = (
  source: string,
  target: string,
  type: string,
  bits: number,
  data: string | undefined,
): void => {
  const result = libc().mount(
    cString(source),
    cString(target),
    cString(type),
    bits,
    data === undefined || data === "" ? null : cString(data),
  );
  checked(result, "mount", target);
};

const unmount = (target: string): void => {
  if (libc().umount2(cString(target), MNT_DETACH | UMOUNT_NOFOLLOW) === 0) return;
  const errno = lastErrno();
  if (errno === ERRNO["EINVAL"] || errno === ERRNO["ENOENT"]) return;
  throwErrno("umount2", errno, target);
};

/**
 * The kernel ignores "ro" and its like, and propagation, in the call that binds. Each therefore gets
 * its own call here, so that no flag is lost; with "rec" they hold for the top mount only (propagation
 * for all). On failure the bind is taken back.
 */
const bind = (source: string, target: string, flags: readonly MountFlag[]): void => {
  mountOnce(source, target, "", bitsOf(flags.filter((f) => f === "rec")) | BITS.bind, undefined);
  try {
    const perMount = flags.filter((flag) => PER_MOUNT.has(flag));
    if (perMount.length > 0) {
      mountOnce("", target, "", BITS.remount | BITS.bind | bitsOf(perMount), undefined);
    }
    const propagation = flags.filter((flag) => PROPAGATION.has(flag));
    if (propagation.length > 0) {
      const rec = flags.includes("rec") ? BITS.rec : 0;
      mountOnce("", target, "", bitsOf(propagation) | rec, undefined);
    }
  } catch (error) {
    unmount(target);
    throw error;
  }
};

const mount = (
  source: string,
  target: string,
  type: string,
  flags: readonly MountFlag[],
  data?: string,
): void => {
  if (flags.includes("bind") && !flags.includes("remount")) {
    if (data !== undefined && data !== "") {
      throw new NaruError("invalid_argument", `a bind mount on "${target}" takes no options`);
    }
    return bind(source, target, flags);
  }
  if (data !== undefined && Buffer.byteLength(data) > MAX_DATA_BYTES) {
    return mountByContext(source, target, type, flags, data);
  }
  mountOnce(source, target, type, bitsOf(flags), data);
};

/** One line of proc_pid_mountinfo(5). */
export interface MountInfo {
  readonly mountPoint: string;
  readonly root: string;
  readonly options: readonly string[];
  readonly type: string;
  readonly source: string;
  readonly superOptions: readonly string[];
}

/** Blanks, tabs, newlines and backslashes stand as three octal digits. */
const unescapeOctal = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );

export const parseMountInfo = (text: string): MountInfo[] => {
  const mounts: MountInfo[] = [];
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const fields = line.split(" ");
    const separator = fields.indexOf("-", 6);
    if (separator === -1) continue;
    mounts.push({
      root: unescapeOctal(fields[3] ?? ""),
      mountPoint: unescapeOctal(fields[4] ?? ""),
      options: (fields[5] ?? "").split(","),
      type: fields[separator + 1] ?? "",
      source: unescapeOctal(fields[separator + 2] ?? ""),
      superOptions: (fields[separator + 3] ?? "").split(","),
    });
  }
  return mounts;
};

export const readMountInfo = (): MountInfo[] =>
  parseMountInfo(readFileSync("/proc/self/mountinfo", "utf8"));

/** The mount table holds resolved paths. A prefix that does not exist is taken as it stands. */
const resolved = (path: string): string => {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
};

const mountsUnder = (prefix: string): string[] => {
  const base = resolved(prefix).replace(/\/+$/, "");
  return readMountInfo()
    .map((info) => info.mountPoint)
    .filter((point) => point === base || point === (base || "/") || point.startsWith(`${base}/`))
    .toReversed()
    .toSorted((a, b) => b.length - a.length);
};

export const mountKernel: MountKernel = { mount, mountDetached, unmount, mountsUnder };
