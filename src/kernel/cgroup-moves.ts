/**
 * Moves of processes between cgroups that come soon.
 *
 * The kernel guards a move by a lock that costs those who fork next to nothing and the one who moves a grace period of
 * RCU, 6 to 20 ms on a quiet machine, unless somebody moved a moment ago (cgroup_threadgroup_rwsem in
 * kernel/cgroup/cgroup.c, kernel/rcu/sync.c). So a process that stays where it is moves first, and the kernel is told to
 * hurry with grace periods as long as that takes (/sys/kernel/rcu_expedited, Documentation/RCU): .1 ms in all.
 */
import { readFileSync } from "node:fs";
import { monotonicMs } from "#lib/clock.ts";
import type { CgroupLayout } from "#kernel/cgroup-layout.ts";
import { writeControlFile } from "#kernel/control-file.ts";

/** The lock stays at hand for as long as the shortest grace period at least. */
const PAUSE_MS = 4;

const OWN_CGROUPS = "/proc/self/cgroup";
const EXPEDITED = "/sys/kernel/rcu_expedited";
/** 1: the host wants no hurry, for it costs others interrupts; what is written to the other file is nothing then. */
const NORMAL = "/sys/kernel/rcu_normal";

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

export interface SwitchFiles {
  read(path: string): string;
  write(path: string, text: string): void;
}

const realFiles: SwitchFiles = {
  read: (path) => readFileSync(path, "utf8"),
  write: writeControlFile,
};

export class ExpectedMoves {
  readonly #layout: () => CgroupLayout;
  readonly #files: SwitchFiles;
  readonly #clockMs: () => number;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(
    layout: () => CgroupLayout,
    files: SwitchFiles = realFiles,
    clockMs: () => number = monotonicMs,
  ) {
    this.#layout = layout;
    this.#files = files;
    this.#clockMs = clockMs;
  }

  /** See `CgroupKernel.expectMoves`. */
  expect(onHurry: () => void): void {
    if (this.#clockMs() - this.#lastMs < PAUSE_MS) return;
    try {
      // Asked each time: who moved the daemon meanwhile does not find it moved back.
      const path = ownProcessesFile(this.#layout(), this.#files.read(OWN_CGROUPS));
      if (path !== undefined && this.#mayHurry()) this.#moveInHurry(path, onHurry);
    } catch {
      // A runtime's own move waits then, as it would have; it also says what is wrong.
    }
    this.#lastMs = this.#clockMs();
  }

  /** Where grace periods are always hurried nobody waits, and where they never are this would wait itself. */
  #mayHurry(): boolean {
    return [EXPEDITED, NORMAL].every((path) => this.#files.read(path).trim() === "0");
  }

  #moveInHurry(path: string, onHurry: () => void): void {
    onHurry();
    this.#files.write(EXPEDITED, "1");
    try {
      this.#files.write(path, "0");
    } finally {
      this.#files.write(EXPEDITED, "0");
    }
  }
}

/** Ends a hurry that a process began which was killed before it ended it. */
export const endHurry = (): void => {
  try {
    writeControlFile(EXPEDITED, "0");
  } catch {
    // No such switch here: there was no hurry either.
  }
};
