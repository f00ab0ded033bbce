/**
 * What runtimes and monitors keep for as long as a container lives: some twenty small files each (state, sockets, exit
 * codes, the bundle). Where the exec root is on a disk they are in memory all the same, as they are below /run on most
 * hosts: a disk's file system makes and forgets them at a price that grows with how many have just gone.
 */
import { existsSync, mkdirSync, readdirSync, realpathSync, statfsSync } from "node:fs";
import type { Logger } from "#lib/log.ts";
import type { MountKernel } from "#kernel/kernel.ts";

/** A container, and a step of a build, has something in one of them from its start to its end. */
const BUNDLES = ["bundles", "build"];
/** Below the exec root; beside these are sockets, and what volumes are mounted on. */
const NAMES = [...BUNDLES, "runtime", "netns"];

const MOUNT_SOURCE = "naru";

/** statfs(2): TMPFS_MAGIC, RAMFS_MAGIC. */
const IN_MEMORY: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

export interface InMemory {
  /**
   * Unmounts, when no container runs any more; not while there is something of a build's step. What daemons mounted
   * that were killed goes too.
   */
  leave(): void;
}

/**
 * Mounts what is not in memory yet, unless containers of before have their files on the disk. Mounts stay when the
 * daemon ends, however it does, unless it says `leave`.
 */
export const keepInMemory = (kernel: MountKernel, execRoot: string, log: Logger): InMemory => {
  const root = realpathSync(execRoot);
  const paths = NAMES.map((name) => `${root}/${name}`);
  try {
    for (const path of paths) mkdirSync(path, { recursive: true, mode: 0o711 });
    const mounts = kernel.mountsUnder(root);
    // Each container and each step has a bundle; without one, what lies in the others is of no use any more.
    const isUnused = BUNDLES.every((name) => readdirSync(`${root}/${name}`).length === 0);
    for (const path of paths) {
      const isHeld = mounts.some((mount) => mount.startsWith(`${path}/`));
      if (!isUnused || isHeld || IN_MEMORY.has(statfsSync(path).type)) continue;
      kernel.mount(MOUNT_SOURCE, path, "tmpfs", ["nosuid", "nodev"], "mode=711");
    }
  } catch (error) {
    log.info("the files of running containers stay on disk", { execRoot, error: String(error) });
  }
  const leave = (): void => {
    const steps = `${root}/build`;
    if (existsSync(steps) && readdirSync(steps).length > 0) return;
    for (const mount of kernel.mountsUnder(root)) if (paths.includes(mount)) kernel.unmount(mount);
  };
  return { leave };
};
