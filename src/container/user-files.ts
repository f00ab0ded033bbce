/** Users by the passwd and group files of a root file system. */
import { readFileSync } from "node:fs";
import { hasCode } from "#lib/errors.ts";
import { type ResolvedUser, resolveUser } from "#container/user.ts";
import type { FileKernel } from "#kernel/kernel.ts";

const USER_FILE_MAX_BYTES = 4 * 1024 * 1024;

/** A file of the image, symlinks resolved inside the root; "" when there is none. */
const readInRoot = (kernel: FileKernel, rootfs: string, path: string): string => {
  let fd: number;
  try {
    fd = kernel.openInRoot(rootfs, path, 0o4000); // O_NONBLOCK: a planted FIFO must not hold the daemon
  } catch (error) {
    if (hasCode(error, "not_found")) return "";
    throw error;
  }
  try {
    const text = readFileSync(fd, "utf8");
    return text.length > USER_FILE_MAX_BYTES ? text.slice(0, USER_FILE_MAX_BYTES) : text;
  } finally {
    kernel.close(fd);
  }
};

/** `spec` "user", "uid:gid" …; throws invalid_argument in Docker's words for one that does not exist. */
export const lookUpUser = (
  kernel: FileKernel,
  rootfs: string,
  spec: string,
  groupAdd: readonly string[] = [],
): ResolvedUser =>
  resolveUser(
    spec,
    groupAdd,
    readInRoot(kernel, rootfs, "/etc/passwd"),
    readInRoot(kernel, rootfs, "/etc/group"),
  );
