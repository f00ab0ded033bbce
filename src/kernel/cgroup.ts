/** Control groups of either version: see cgroup-kernel.ts for the manual. */
import { existsSync, readFileSync, readdirSync, rmdirSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import { sleep } from "#lib/clock.ts";
import { withErrno } from "#kernel/errno.ts";
import { CgroupFiles, directoriesOf } from "#kernel/cgroup-files.ts";
import type { CgroupKernel } from "#kernel/cgroup-kernel.ts";
import {
  type CgroupLayout,
  detectLayout,
  leftoverControllers,
  mountController,
  readProcCgroups,
  unmountedHierarchies,
} from "#kernel/cgroup-layout.ts";
import { ExpectedMoves } from "#kernel/cgroup-moves.ts";
import { readOomKills, readStats } from "#kernel/cgroup-stats.ts";
import { updateLimits } from "#kernel/cgroup-update.ts";
import { watchOomKills } from "#kernel/cgroup-watch.ts";

const REMOVE_TIMEOUT_MS = 1000;
const FREEZE_TIMEOUT_MS = 10_000;
const LONGEST_PAUSE_MS = 50;

/** Asks again after 0, 1, 2, 4 … milliseconds; false when `timeoutMs` have passed. */
const until = async (timeoutMs: number, isDone: () => boolean): Promise<boolean> => {
  for (let pauseMs = 0.5, waitedMs = 0; ; waitedMs += pauseMs) {
    if (isDone()) return true;
    if (waitedMs >= timeoutMs) return false;
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    // oxlint-disable-next-line no-await-in-loop -- the kernel gives no event for these states on v1
    await sleep(pauseMs);
  }
};

const childrenOf = (directory: string): string[] =>
  readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => `${directory}/${entry.name}`);

/** True when it is gone; false when something is in it or below it. */
const removeEmpty = (directory: string): boolean => {
  try {
    rmdirSync(directory);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") return true;
    if (code === "EBUSY") return false;
    return withErrno("rmdir", directory, () => {
      throw error;
    });
  }
};

/** False while processes are in it or below it. Most have nothing below: tried first. */
const removeTree = (directory: string): boolean => {
  if (removeEmpty(directory)) return true;
  if (!existsSync(directory)) return true;
  // All children are tried, so that what can go goes.
  const areGone = childrenOf(directory).map(removeTree);
  return !areGone.includes(false) && removeEmpty(directory);
};

const processesBelow = (directory: string): number[] => {
  if (!existsSync(directory)) return [];
  const text = readFileSync(`${directory}/cgroup.procs`, "utf8");
  const own = text.split("\n").filter((line) => line !== "");
  return [...own.map(Number), ...childrenOf(directory).flatMap(processesBelow)];
};

/** Any hierarchy holds all processes; those a runtime always uses come first. */
const MEMBERSHIP = ["pids", "memory", "freezer", "cpu", "devices", "unified"];

const membershipDirectory = (files: CgroupFiles): string =>
  MEMBERSHIP.map((name) => files.directories.get(name) ?? "").find((path) => existsSync(path)) ??
  "";

const setFrozen = (files: CgroupFiles, isFrozen: boolean): void => {
  if (files.isV2) files.write("unified", "cgroup.freeze", isFrozen ? "1" : "0");
  else files.write("freezer", "freezer.state", isFrozen ? "FROZEN" : "THAWED");
};

const isFrozen = (files: CgroupFiles): boolean =>
  files.isV2
    ? files.readTable("unified", "cgroup.events")["frozen"] === 1
    : files.read("freezer", "freezer.state") === "FROZEN";

const freeze = async (files: CgroupFiles): Promise<void> => {
  const isDone = await until(FREEZE_TIMEOUT_MS, () => {
    // v1 can stop half-way when a process forks meanwhile: writing again makes it look once more.
    setFrozen(files, true);
    return isFrozen(files);
  });
  if (isDone) return;
  setFrozen(files, false);
  throw new NaruError(
    "deadline_exceeded",
    `the cgroup "${files.cgroupPath}" did not freeze within ${FREEZE_TIMEOUT_MS / 1000} seconds: a process in it waits uninterruptibly for the kernel`,
  );
};

const remove = async (layout: CgroupLayout, cgroupPath: string): Promise<void> => {
  const directories = new Set(directoriesOf(layout, cgroupPath).values());
  const isGone = (): boolean => [...directories].map(removeTree).every(Boolean);
  // Processes leave their cgroup a moment after they have ended.
  if (await until(REMOVE_TIMEOUT_MS, isGone)) return;
  const left = new Set([...directories].flatMap(processesBelow));
  throw new NaruError(
    "conflict",
    `the cgroup "${cgroupPath}" still holds the processes ${[...left].join(", ")}: end them first`,
    { details: { errno: "EBUSY", call: "rmdir", path: cgroupPath } },
  );
};

/** Mounts it; whether that did. Where nothing can be mounted, no runtime can leave anything behind either. */
const isMountedNow = (name: string): boolean => {
  try {
    mountController(name);
    return true;
  } catch {
    return false;
  }
};

const ensureUsable = (layout: CgroupLayout): string[] => {
  const leftovers = leftoverControllers(layout);
  for (const name of leftovers) mountController(name);
  const unmounted = unmountedHierarchies(layout, readProcCgroups());
  const mounted = unmounted.filter((name) => !leftovers.includes(name)).filter(isMountedNow);
  return [...leftovers, ...mounted];
};

/** `layout` is given by tests; by default the host is looked at once, now and after `ensureUsable`. */
export const createCgroupKernel = (given?: CgroupLayout): CgroupKernel => {
  let layout = given ?? detectLayout();
  const filesOf = (cgroupPath: string): CgroupFiles => new CgroupFiles(layout, cgroupPath);
  const moves = new ExpectedMoves(() => layout);
  return {
    get mode() {
      return layout.mode;
    },
    get controllers() {
      const named = [...layout.mountPoints.keys()];
      return new Set(named.filter((name) => name !== "unified" && name !== "name=systemd"));
    },
    ensureUsable: () => {
      const mounted = ensureUsable(layout);
      if (mounted.length > 0) layout = detectLayout();
      return mounted;
    },
    pathsOf: (cgroupPath) => directoriesOf(layout, cgroupPath),
    stats: (cgroupPath) => readStats(filesOf(cgroupPath)),
    oomKills: (cgroupPath) => readOomKills(filesOf(cgroupPath)),
    watchOom: (cgroupPath, signal) => watchOomKills(filesOf(cgroupPath), signal),
    freeze: async (cgroupPath) => freeze(filesOf(cgroupPath)),
    thaw: async (cgroupPath) => {
      const files = filesOf(cgroupPath);
      setFrozen(files, false);
      await until(FREEZE_TIMEOUT_MS, () => !isFrozen(files));
    },
    processes: (cgroupPath) => processesBelow(membershipDirectory(filesOf(cgroupPath))),
    update: (cgroupPath, limits) => updateLimits(filesOf(cgroupPath), limits),
    expectMoves: (onHurry) => moves.expect(onHurry),
    remove: (cgroupPath) => remove(layout, cgroupPath),
  };
};
