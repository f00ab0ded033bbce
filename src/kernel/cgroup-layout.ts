/** Where the control group hierarchies are mounted, and which version rules. */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import { withErrno } from "#kernel/errno.ts";
import type { CgroupMode } from "#kernel/cgroup-kernel.ts";
import type { MountKernel } from "#kernel/kernel.ts";
import { type MountInfo, mountKernel, readMountInfo } from "#kernel/mount.ts";

const CGROUP_ROOT = "/sys/fs/cgroup";

export interface CgroupLayout {
  readonly mode: CgroupMode;
  /** Mount point by controller (v2: all the same); `unified` and `name=systemd` on v1 and hybrid. */
  readonly mountPoints: ReadonlyMap<string, string>;
}

const words = (text: string): string[] => text.split(/\s+/).filter((word) => word !== "");

const v1MountPoints = (mounts: readonly MountInfo[], known: ReadonlySet<string>) => {
  const points = new Map<string, string>();
  for (const mount of mounts) {
    if (mount.type !== "cgroup") continue;
    for (const option of mount.superOptions) {
      // The first mount of a controller is the host's own; later ones are somebody's extra.
      const isHierarchy = known.has(option) || option === "name=systemd";
      if (isHierarchy && !points.has(option)) points.set(option, mount.mountPoint);
    }
  }
  return points;
};

/** Controllers with the hierarchy they are in (0: v2 or none), from /proc/cgroups. */
export const parseControllers = (text: string): Map<string, number> => {
  const controllers = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [name = "", hierarchy, , enabled] = line.split("\t");
    if (!line.startsWith("#") && enabled === "1") controllers.set(name, Number(hierarchy));
  }
  return controllers;
};

/** Pure: `v2Controllers` answers the content of a v2 mount's cgroup.controllers. */
export const layoutOf = (
  mounts: readonly MountInfo[],
  procCgroups: string,
  v2Controllers: (mountPoint: string) => string,
): CgroupLayout | undefined => {
  const points = v1MountPoints(mounts, new Set(parseControllers(procCgroups).keys()));
  const unified = mounts.find((mount) => mount.type === "cgroup2")?.mountPoint;
  if (unified === undefined) {
    return points.size === 0 ? undefined : { mode: "v1", mountPoints: points };
  }
  const owned = words(v2Controllers(unified)).map((name) => [name, unified] as const);
  const hasV1Controllers = [...points.keys()].some((name) => name !== "name=systemd");
  if (!hasV1Controllers) {
    return { mode: "v2", mountPoints: new Map([...owned, ["unified", unified]]) };
  }
  points.set("unified", unified);
  return { mode: "hybrid", mountPoints: points };
};

const readControllers = (mountPoint: string): string => {
  const path = `${mountPoint}/cgroup.controllers`;
  return withErrno("read", path, () => readFileSync(path, "utf8"));
};

export const readProcCgroups = (): string =>
  existsSync("/proc/cgroups") ? readFileSync("/proc/cgroups", "utf8") : "";

export const detectLayout = (): CgroupLayout => {
  const layout = layoutOf(readMountInfo(), readProcCgroups(), readControllers);
  if (layout !== undefined) return layout;
  throw new NaruError(
    "failed_precondition",
    `no control groups are mounted: run "mount -t cgroup2 cgroup2 ${CGROUP_ROOT}"`,
  );
};

/** Controllers that v2 still owns beside v1 hierarchies: those that keep crun from running. */
export const leftoverControllers = (layout: CgroupLayout): string[] => {
  const unified = layout.mountPoints.get("unified");
  return layout.mode === "hybrid" && unified !== undefined ? words(readControllers(unified)) : [];
};

/**
 * Hierarchies of v1 that exist and are not mounted here (what mounted them has gone, or is in another mount
 * namespace), by their controllers. crun would make plain folders in their place, which nobody removes.
 */
export const unmountedHierarchies = (layout: CgroupLayout, procCgroups: string): string[] => {
  if (layout.mode === "v2") return [];
  const byHierarchy = new Map<number, string[]>();
  for (const [name, hierarchy] of parseControllers(procCgroups)) {
    if (hierarchy === 0 || layout.mountPoints.has(name)) continue;
    byHierarchy.set(hierarchy, [...(byHierarchy.get(hierarchy) ?? []), name]);
  }
  return [...byHierarchy.values()].map((names) => names.join(","));
};

/** Mounts one controller as a v1 hierarchy beside the others. */
export const mountController = (
  name: string,
  root = CGROUP_ROOT,
  kernel: MountKernel = mountKernel,
): string => {
  const target = `${root}/${name}`;
  withErrno("mkdir", target, () => mkdirSync(target, { recursive: true }));
  try {
    kernel.mount("cgroup", target, "cgroup", ["nosuid", "nodev", "noexec"], name);
  } catch (cause) {
    throw new NaruError(
      "failed_precondition",
      `the controller "${name}" cannot be taken from cgroup v2: some cgroup uses it; use the runtime runc, or free it`,
      { cause },
    );
  }
  return target;
};
