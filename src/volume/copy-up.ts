/** An empty volume takes over what the image has at its destination. */
import { constants, readdirSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import type { FileKernel } from "#kernel/kernel.ts";

export type CopyUpKernel = Pick<FileKernel, "openInRoot" | "close" | "fdPath">;

const isMissing = (error: unknown): boolean =>
  error instanceof NaruError && error.details["errno"] === "ENOENT";

const isFile = (error: unknown): boolean =>
  error instanceof NaruError && error.details["errno"] === "ENOTDIR";

/** The directory at `destination` inside of `rootfs`, symlinks followed but never out of it. */
const openSource = (
  kernel: CopyUpKernel,
  rootfs: string,
  destination: string,
): number | undefined => {
  try {
    return kernel.openInRoot(rootfs, destination, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    if (isMissing(error)) return undefined;
    if (isFile(error)) {
      throw new NaruError(
        "invalid_argument",
        `cannot mount volume over existing file, file exists ${destination}`,
        { cause: error },
      );
    }
    throw error;
  }
};

/**
 * Copies with owners, modes, times, attributes, links and devices; the volume's own directory gets
 * those of the source. `rootfs` is asked for only when the volume is empty. Does nothing when the volume holds anything or the image has no such
 * directory. A child process, because it may take long.
 */
export const copyUp = async (
  kernel: CopyUpKernel,
  volumePath: string,
  rootfs: () => string,
  destination: string,
): Promise<void> => {
  if (readdirSync(volumePath).length > 0) return;
  const source = openSource(kernel, rootfs(), destination);
  if (source === undefined) return;
  try {
    // "/." copies what is inside, and the directory's own attributes with it. The path goes by our
    // descriptor, so whatever the tree's links say, it stays this directory.
    const from = `${kernel.fdPath(source)}/.`;
    const child = Bun.spawn(["cp", "-a", "--", from, volumePath], {
      stdout: "ignore",
      stderr: "pipe",
      env: { LC_ALL: "C", PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
    });
    const [complaint, status] = await Promise.all([child.stderr.text(), child.exited]);
    if (status !== 0) {
      throw new NaruError(
        "internal",
        `the image's "${destination}" could not be copied into its volume: ${complaint.trim()}`,
      );
    }
  } finally {
    kernel.close(source);
  }
};
