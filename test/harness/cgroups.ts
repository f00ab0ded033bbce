/** Cgroup parents of a check's own. */
import { existsSync } from "node:fs";

import { BUSYBOX, type Check, docker } from "./check.ts";

/** True where a container sees the host's paths in /proc/self/cgroup, unless it is told otherwise. */
export const showsCgroupPaths = !existsSync("/sys/fs/cgroup/cgroup.controllers");

/** A path that is gone when the check ends: engines leave the parents that users name. */
export const cgroupParent = (t: Check): string => {
  const parent = `/e2e-${t.name()}`;
  const script = `rmdir /cg/*${parent} /cg${parent} 2>/dev/null; true`;
  const mount = ["--privileged", "-v", "/sys/fs/cgroup:/cg"];
  t.defer(() => docker(["run", "--rm", ...mount, BUSYBOX, "sh", "-c", script]));
  return parent;
};
