/** Mount options of overlayfs (kernel, filesystems/overlayfs.rst). */
import { closeSync, constants, openSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import type { MountKernel } from "#kernel/kernel.ts";
import { errnoOf } from "#snapshot/directory-cache.ts";

export interface OverlayMount {
  readonly target: string;
  /** Topmost first. */
  readonly lowers: readonly string[];
  /** Absent: read-only. */
  readonly writable?: { readonly upper: string; readonly work: string };
  /** The lower ones are of several file systems: numbers of inodes and devices are made to look like one's. */
  readonly isMixed?: boolean;
  /** Nothing that is written is waited for, not even at the unmount; a kernel that cannot (before 5.10) does as ever. */
  readonly isVolatile?: boolean;
}

const O_PATH = 0o10000000;

/** mount(2) takes one page of options, with a NUL at its end. */
const MAX_DATA_LENGTH = 4095;

/**
 * Hosts differ in their defaults; the store counts on these: every changed file is whole in the upper
 * directory, and under its own name.
 */
const FIXED = "index=off,metacopy=off,redirect_dir=off";

const optionsOf = (mount: OverlayMount, lowers: readonly string[]): string => {
  const { writable, isMixed, isVolatile } = mount;
  const lower = `lowerdir=${lowers.join(":")}`;
  const fixed = isMixed === true ? `${FIXED},xino=on` : FIXED;
  return writable === undefined
    ? `${lower},${fixed}`
    : `${lower},upperdir=${writable.upper},workdir=${writable.work},${fixed}${isVolatile === true ? ",volatile" : ""}`;
};

const openAll = (paths: readonly string[]): number[] => {
  const fds: number[] = [];
  try {
    for (const path of paths) fds.push(openSync(path, O_PATH | constants.O_DIRECTORY));
    return fds;
  } catch (error) {
    for (const fd of fds) closeSync(fd);
    throw error;
  }
};

const mountByData = (kernel: MountKernel, mount: OverlayMount, data: string): void => {
  const flags = mount.writable === undefined ? (["ro"] as const) : [];
  try {
    kernel.mount("overlay", mount.target, "overlay", flags, data);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== "EINVAL" && errno !== "ENODEV") throw error;
    const reason =
      errno === "ENODEV"
        ? 'this kernel has no overlay file system; load the module "overlay"'
        : "the file system below cannot hold overlay trees (it may be an overlay itself, or a network share); choose a data root on ext4, xfs or btrfs";
    throw new NaruError("failed_precondition", `"${mount.target}" cannot be mounted: ${reason}`, {
      cause: error,
      details: { errno },
    });
  }
};

/**
 * Mounts. Stacks whose paths do not fit into a page go by descriptors ("/proc/self/fd/7"), which the
 * kernel resolves during the call; about 240 layers fit so. For even more the kernel room has the newer
 * mount calls.
 */
export const mountOverlay = (kernel: MountKernel, mount: OverlayMount): void => {
  if (mount.isVolatile !== true) return mountAsSaid(kernel, mount);
  try {
    mountAsSaid(kernel, mount);
  } catch {
    // The other attempt tells what is wrong, if it is not that.
    mountAsSaid(kernel, { ...mount, isVolatile: false });
  }
};

const mountAsSaid = (kernel: MountKernel, mount: OverlayMount): void => {
  const data = optionsOf(mount, mount.lowers);
  if (data.length <= MAX_DATA_LENGTH) {
    mountByData(kernel, mount, data);
    return;
  }
  const fds = openAll(mount.lowers);
  try {
    const short = optionsOf(
      mount,
      fds.map((fd) => `/proc/self/fd/${fd}`),
    );
    mountByData(kernel, mount, short.length <= MAX_DATA_LENGTH ? short : data);
  } finally {
    for (const fd of fds) closeSync(fd);
  }
};
