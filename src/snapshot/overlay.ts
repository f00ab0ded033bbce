/** Mount options of overlayfs (kernel, filesystems/overlayfs.rst). */
import { closeSync, constants, openSync } from "node:fs";
import type { MountKernel } from "#kernel/kernel.ts";

export interface OverlayMount {
  readonly target: string;
  /** Topmost first. */
  readonly lowers: readonly string[];
  /** Absent: read-only. */
  readonly writable?: { readonly upper: string; readonly work: string };
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
  const { writable } = mount;
  const lower = `lowerdir=${lowers.join(":")}`;
  return writable === undefined
    ? `${lower},${FIXED}`
    : `${lower},upperdir=${writable.upper},workdir=${writable.work},${FIXED}`;
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

/**
 * Mounts. Stacks whose paths do not fit into a page go by descriptors ("/proc/self/fd/7"), which the
 * kernel resolves during the call; about 240 layers fit so. For even more the kernel room has the newer
 * mount calls.
 */
export const mountOverlay = (kernel: MountKernel, mount: OverlayMount): void => {
  const flags = mount.writable === undefined ? (["ro"] as const) : [];
  const data = optionsOf(mount, mount.lowers);
  if (data.length <= MAX_DATA_LENGTH) {
    kernel.mount("overlay", mount.target, "overlay", flags, data);
    return;
  }
  const fds = openAll(mount.lowers);
  try {
    const short = optionsOf(
      mount,
      fds.map((fd) => `/proc/self/fd/${fd}`),
    );
    const isFit = short.length <= MAX_DATA_LENGTH;
    kernel.mount("overlay", mount.target, "overlay", flags, isFit ? short : data);
  } finally {
    for (const fd of fds) closeSync(fd);
  }
};
