/**
 * Mounts of layers in the form `erofs`: one each, for all containers, so that they share what is in memory of it.
 * They stand in no tree of mounts, only a descriptor of this process holds them. Overlays that were made over one
 * keep what they need of it. So nothing has to be unmounted, and nothing can be left behind.
 */
import type { FileKernel, MountKernel } from "#kernel/kernel.ts";
import { INDEX_FILE, TAR_FILE } from "#snapshot/layer-form.ts";

type Kernel = Pick<MountKernel, "mountDetached"> & Pick<FileKernel, "close" | "fdPath">;

/** Kept open beyond what is mounted just now; the least recently used goes first. */
const KEPT_MAX = 512;

export const mountIndexed = (kernel: Kernel, directory: string): number =>
  kernel.mountDetached(`${directory}/${INDEX_FILE}`, "erofs", [
    ["device", `${directory}/${TAR_FILE}`],
  ]);

export class LayerMounts {
  readonly #kernel: Kernel;
  /** By directory, least recently used first. */
  readonly #fds = new Map<string, number>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /**
   * A path of the tree's root for the mount calls of this process, as long as nothing else is asked for. More
   * than KEPT_MAX layers in one overlay are more than overlayfs takes.
   */
  path(directory: string): string {
    const fd = this.#fds.get(directory) ?? mountIndexed(this.#kernel, directory);
    this.#fds.delete(directory);
    this.#fds.set(directory, fd);
    const [oldest] = this.#fds.keys();
    if (this.#fds.size > KEPT_MAX && oldest !== undefined) this.release(oldest);
    return this.#kernel.fdPath(fd);
  }

  /** What is mounted over it goes on; the next one is made from the files as they are then. */
  release(directory: string): void {
    const fd = this.#fds.get(directory);
    if (fd === undefined) return;
    this.#fds.delete(directory);
    this.#kernel.close(fd);
  }
}
