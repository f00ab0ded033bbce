/**
 * What `crun delete` does for a container whose process has ended, without a process of its own:
 * its cgroup goes, then crun's state directory (crun status.c, container_delete).
 */
import { existsSync, readFileSync } from "node:fs";
import { removeDirectory } from "#lib/remove-directory.ts";
import type { ProcessKernel } from "#kernel/kernel.ts";
import type { RemoveCgroup } from "#runtime/leftover-cgroup.ts";

interface CrunStatus {
  readonly pid: number;
  readonly "process-start-time": number;
  readonly "cgroup-path": string;
  readonly "systemd-cgroup": boolean;
}

const readStatus = (directory: string): CrunStatus | undefined => {
  try {
    return JSON.parse(readFileSync(`${directory}/status`, "utf8")) as CrunStatus;
  } catch {
    return undefined; // half-made or of another crun: crun itself knows best
  }
};

/** False when this is a case for `crun delete`: the process lives, or the state is not as known. */
export const deleteEnded = async (
  kernel: ProcessKernel,
  removeCgroup: RemoveCgroup,
  directory: string,
): Promise<boolean> => {
  if (!existsSync(directory)) return true;
  const status = readStatus(directory);
  if (status === undefined || status["systemd-cgroup"]) return false;
  const path = status["cgroup-path"];
  if (typeof path !== "string" || !path.startsWith("/") || path === "/") return false;
  const ticks = kernel.startTime(status.pid);
  if (ticks !== undefined && Number(ticks) === status["process-start-time"]) return false;
  try {
    await removeCgroup(path);
  } catch {
    return false; // processes are left in it: crun kills them
  }
  removeDirectory(directory);
  return true;
};
