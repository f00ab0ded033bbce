/**
 * Moves of processes between cgroups that come soon.
 *
 * The kernel guards a move by a lock that costs those who fork next to nothing and the one who moves a grace period of
 * RCU, 6 to 20 ms on a quiet machine, unless somebody moved a moment ago (cgroup_threadgroup_rwsem in
 * kernel/cgroup/cgroup.c, kernel/rcu/sync.c). So a process that stays where it is moves first: the wait is over, or
 * nearly so, when a runtime moves a container's.
 */
import { constants } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { monotonicMs } from "#lib/clock.ts";
import type { CgroupLayout } from "#kernel/cgroup-layout.ts";

/** The lock stays at hand for a few milliseconds; being asked more often only costs. */
const PAUSE_MS = 4;

const OWN_CGROUPS = "/proc/self/cgroup";

/** The file that lists the processes of the cgroup this process is in: of the v2 hierarchy where there is one. */
export const ownProcessesFile = (
  { mountPoints }: CgroupLayout,
  ownCgroups: string,
): string | undefined => {
  for (const line of ownCgroups.trim().split("\n").toReversed()) {
    // hierarchy:controllers:path; cgroups(7). That of v2 comes last and names no controllers.
    const [, controllers, path = ""] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined) continue;
    const mountPoint = mountPoints.get(controllers.split(",")[0] || "unified");
    if (mountPoint !== undefined) return `${mountPoint}${path === "/" ? "" : path}/cgroup.procs`;
  }
  return undefined;
};

export interface MoveFiles {
  read(path: string): Promise<string>;
  write(path: string, text: string): Promise<void>;
}

/** By the runtime's threads: either call may wait for whoever moves just now. */
export const moveFiles: MoveFiles = {
  read: (path) => readFile(path, "utf8"),
  write: (path, text) => writeFile(path, text, { flag: constants.O_WRONLY }),
};

export class ExpectedMoves {
  readonly #layout: () => CgroupLayout;
  readonly #files: MoveFiles;
  #isUnderWay = false;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(layout: () => CgroupLayout, files: MoveFiles = moveFiles) {
    this.#layout = layout;
    this.#files = files;
  }

  /** Returns at once what ends when the kernel is ready, and never rejects; undefined where it is being made so. */
  expect(): Promise<void> | undefined {
    if (this.#isUnderWay || monotonicMs() - this.#lastMs < PAUSE_MS) return undefined;
    this.#isUnderWay = true;
    return this.#moveToOwnPlace();
  }

  async #moveToOwnPlace(): Promise<void> {
    try {
      // Asked each time: who moved the daemon meanwhile does not find it moved back.
      const path = ownProcessesFile(this.#layout(), await this.#files.read(OWN_CGROUPS));
      if (path !== undefined) await this.#files.write(path, "0");
    } catch {
      // A runtime's own move waits then, as it would have; it also says what is wrong.
    }
    this.#isUnderWay = false;
    this.#lastMs = monotonicMs();
  }
}
