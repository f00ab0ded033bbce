/** Files that are switches of the kernel (sysctl, cgroup): each write is one command. */
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { withErrno } from "#kernel/errno.ts";

/** Opened for writing only (some cannot be read) and never created, so that a wrong name is ENOENT. */
export const writeControlFile = (path: string, value: string): void =>
  withErrno("write", path, () => {
    const fd = openSync(path, constants.O_WRONLY);
    try {
      writeSync(fd, value);
    } finally {
      closeSync(fd);
    }
  });
