/**
 * Mounts that stand on the host while containers run: volumes with mount options at their own
 * mountpoint, shared by all users; subpaths and image trees bound per container under
 * `<execRoot>/mounts/<containerId>/<n>`. The kernel's mount table is the memory: nothing is lost with
 * the daemon.
 */
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { failpoint } from "#lib/failpoint.ts";
import type { FileKernel, MountKernel } from "#kernel/kernel.ts";
import {
  hostToLookUp,
  parseLocalMount,
  withAddress,
  withoutPassword,
} from "#volume/local-options.ts";
import type { VolumeRecord } from "#volume/volume.ts";

export type HostMountsKernel = MountKernel & Pick<FileKernel, "openInRoot" | "close" | "fdPath">;

export interface HostMountsOptions {
  /** `<execRoot>/mounts` */
  readonly root: string;
  readonly kernel: HostMountsKernel;
  readonly mountpoint: (volume: string) => string;
}

const O_PATH = 0o10000000;

/** strerror(3), for what a mount(2) of a user's options fails with. */
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  EINVAL: "invalid argument",
  ENODEV: "no such device",
  ENOTBLK: "block device required",
  ENOTDIR: "not a directory",
  EPERM: "operation not permitted",
  EACCES: "permission denied",
  ECONNREFUSED: "connection refused",
  ETIMEDOUT: "connection timed out",
  EPROTONOSUPPORT: "protocol not supported",
};

/** The kernel says "no such device" to a file system that it does not know (mount(2), ENODEV). */
const reasonOf = (error: NaruError, type: string): string => {
  const reason = REASONS[String(error.details["errno"])] ?? error.message;
  return error.details["errno"] === "ENODEV"
    ? `${reason}: this kernel has no file system "${type}" (see /proc/filesystems): try modprobe ${type.replace(/\d$/, "")}, or a kernel that has it`
    : reason;
};

const addressOf = async (record: VolumeRecord, host: string): Promise<string> => {
  try {
    const { lookup } = await import("node:dns/promises");
    return (await lookup(host)).address;
  } catch (cause) {
    throw new NaruError(
      "unavailable",
      `error while mounting volume '${record.name}': error resolving passed in network volume address: lookup ${host}: no such host`,
      { cause },
    );
  }
};

export class HostMounts {
  readonly #options: HostMountsOptions;
  /** Volumes with mount options, and the containers that run on them. */
  readonly #active = new Map<string, Set<string>>();
  readonly #counts = new Map<string, number>();

  constructor(options: HostMountsOptions) {
    this.#options = options;
  }

  /** The container runs on this volume: mount it unless it is mounted. Nothing to do for a directory. */
  async activate(record: VolumeRecord, containerId: string): Promise<void> {
    const asked = parseLocalMount(record.options);
    if (asked === undefined) return;
    const host = hostToLookUp(asked);
    const mount = host === undefined ? asked : withAddress(asked, await addressOf(record, host));
    // From here on nothing waits: two that begin at once mount once.
    const target = this.#options.mountpoint(record.name);
    if (!this.#isMounted(target)) {
      const { device, type, flags, data } = mount;
      try {
        this.#options.kernel.mount(device, target, type, flags, data);
      } catch (thrown) {
        const error = toNaruError(thrown);
        const message = `error while mounting volume '${target}': failed to mount local volume: mount ${device}:${target}, data: ${withoutPassword(data)}: ${reasonOf(error, type)}`;
        throw new NaruError(error.code, message, { cause: error, details: error.details });
      }
    }
    failpoint("volume-mount.after-mount");
    const users = this.#active.get(record.name) ?? new Set();
    this.#active.set(record.name, users.add(containerId));
  }

  /** Unmounts what a killed daemon left mounted for containers that do not run. */
  settle(records: readonly VolumeRecord[]): void {
    const { kernel, mountpoint } = this.#options;
    for (const { name, options } of records) {
      if (parseLocalMount(options) === undefined || this.#active.has(name)) continue;
      kernel.unmount(mountpoint(name));
    }
  }

  /** After a restart: it is mounted already, this container is one of those who need it. */
  adopt(record: VolumeRecord, containerId: string): void {
    if (parseLocalMount(record.options) === undefined) return;
    const users = this.#active.get(record.name) ?? new Set();
    this.#active.set(record.name, users.add(containerId));
  }

  /**
   * Binds `subpath` of `tree` for this container and returns where; links never lead out of the tree.
   * `isFlat`: without what is mounted below (crun binds recursively even when told "bind").
   */
  bindInside(containerId: string, tree: string, subpath: string, isFlat = false): string {
    const { root, kernel } = this.#options;
    const fd = this.#open(tree, subpath);
    try {
      const count = this.#counts.get(containerId) ?? 0;
      this.#counts.set(containerId, count + 1);
      const target = `${root}/${containerId}/${count}`;
      mkdirSync(`${root}/${containerId}`, { recursive: true, mode: 0o700 });
      if (statSync(kernel.fdPath(fd)).isDirectory()) mkdirSync(target);
      else writeFileSync(target, "");
      kernel.mount(kernel.fdPath(fd), target, "", isFlat ? ["bind"] : ["bind", "rec"]);
      // What is done to the copy must not happen to the tree it was bound from.
      // A flat bind stays in its source's peer group: the container's propagation is of that.
      if (!isFlat) kernel.mount("", target, "", ["private", "rec"]);
      return target;
    } finally {
      kernel.close(fd);
    }
  }

  /** The container has stopped. Idempotent. */
  release(containerId: string): void {
    const { root, kernel, mountpoint } = this.#options;
    const own = `${root}/${containerId}`;
    if (existsSync(own)) {
      for (const target of kernel.mountsUnder(own)) kernel.unmount(target);
      rmSync(own, { recursive: true, force: true });
    }
    this.#counts.delete(containerId);
    for (const [volume, users] of this.#active) {
      if (!users.delete(containerId) || users.size > 0) continue;
      this.#active.delete(volume);
      kernel.unmount(mountpoint(volume));
    }
  }

  releaseAll(): void {
    const { root, kernel } = this.#options;
    for (const target of kernel.mountsUnder(root)) kernel.unmount(target);
    rmSync(root, { recursive: true, force: true });
    for (const volume of this.#active.keys()) kernel.unmount(this.#options.mountpoint(volume));
    this.#active.clear();
    this.#counts.clear();
  }

  #isMounted(target: string): boolean {
    return this.#options.kernel.mountsUnder(target).includes(target);
  }

  #open(tree: string, subpath: string): number {
    try {
      return this.#options.kernel.openInRoot(tree, subpath === "" ? "." : subpath, O_PATH);
    } catch (thrown) {
      const error = toNaruError(thrown);
      if (error.details["errno"] !== "ENOENT") throw error;
      throw new NaruError(
        "not_found",
        `cannot access path ${tree}/${subpath}: lstat ${tree}/${subpath}: no such file or directory`,
        { cause: error },
      );
    }
  }
}
