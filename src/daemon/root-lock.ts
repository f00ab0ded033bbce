/** One daemon per data root: a lock file with the holder's pid and start time. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import type { ProcessKernel } from "#kernel/kernel.ts";

const holderOf = (path: string): { pid: number; ticks: string } | undefined => {
  try {
    const [pid = "", ticks = ""] = readFileSync(path, "utf8").trim().split(" ");
    return { pid: Number(pid), ticks };
  } catch {
    return undefined;
  }
};

/** Throws failed_precondition naming the daemon that runs. A dead holder's lock is taken over. */
export const lockRoot = (kernel: ProcessKernel, root: string): Disposable => {
  const path = `${root}/daemon.lock`;
  const mine = `${process.pid} ${kernel.startTime(process.pid) ?? 0n}\n`;
  for (;;) {
    try {
      writeFileSync(path, mine, { flag: "wx", mode: 0o600 });
      return { [Symbol.dispose]: () => rmSync(path, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const holder = holderOf(path);
    const isAlive =
      holder !== undefined && String(kernel.startTime(holder.pid) ?? "") === holder.ticks;
    if (isAlive && holder.pid !== process.pid) {
      throw new NaruError(
        "failed_precondition",
        `another naru daemon (process ${holder.pid}) uses "${root}": stop it, or give this one a --data-root and --exec-root of its own`,
      );
    }
    rmSync(path, { force: true });
  }
};
