/** WORKDIR is made when the image lacks it, component by component inside the root. */
import { constants } from "node:fs";
import { hasCode } from "#lib/errors.ts";
import type { FileKernel } from "#kernel/kernel.ts";

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY;

export const ensureWorkingDirectory = (kernel: FileKernel, rootfs: string, path: string): void => {
  if (path === "" || path === "/") return;
  const exists = (part: string): number | undefined => {
    try {
      return kernel.openInRoot(rootfs, part, DIRECTORY);
    } catch (error) {
      if (hasCode(error, "not_found")) return undefined;
      throw error;
    }
  };
  const whole = exists(path);
  if (whole !== undefined) return kernel.close(whole);
  let parent = kernel.openInRoot(rootfs, "/", DIRECTORY);
  try {
    let walked = "";
    for (const name of path.split("/").filter((part) => part !== "")) {
      walked += `/${name}`;
      let next = exists(walked);
      if (next === undefined) {
        kernel.mkdirAt(parent, name, 0o755);
        next = kernel.openInRoot(rootfs, walked, DIRECTORY);
      }
      kernel.close(parent);
      parent = next;
    }
  } finally {
    kernel.close(parent);
  }
};
