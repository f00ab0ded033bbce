/** `--pidfile`, as dockerd(8) has it: for service managers that want to know the main process. */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { writeFileAtomic } from "#lib/atomic-file.ts";
import { NaruError } from "#lib/errors.ts";

/** The command line, or "" when the process is gone. */
const commandOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return ""; // ended, or never was
  }
};

/**
 * Writes this process's id. A file of a daemon that is gone is replaced; one of a daemon that runs is
 * failed_precondition. The id of some other program is a reused number, not a daemon.
 */
export const writePidFile = (path: string): Disposable => {
  const pid = existsSync(path) ? Number(readFileSync(path, "utf8").trim()) : 0;
  const isDaemon = pid !== process.pid && commandOf(pid).split("\0").includes("daemon");
  if (isDaemon) {
    throw new NaruError(
      "failed_precondition",
      `pid file "${path}" names a daemon that runs (process ${pid}): stop it, or choose another --pidfile`,
    );
  }
  writeFileAtomic(path, `${process.pid}\n`, { mode: 0o644, isDurable: false });
  return {
    [Symbol.dispose]: () => {
      const isMine = existsSync(path) && Number(readFileSync(path, "utf8")) === process.pid;
      if (isMine) rmSync(path, { force: true });
    },
  };
};
