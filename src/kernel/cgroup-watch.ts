/** News of OOM kills: an eventfd on v1 (cgroup.event_control), inotify on v2 (memory.events). */
import { closeSync, openSync, readSync } from "node:fs";
import { sleep } from "#lib/clock.ts";
import { withErrno } from "#kernel/errno.ts";
import type { CgroupFiles } from "#kernel/cgroup-files.ts";
import { readOomKills } from "#kernel/cgroup-stats.ts";
import { checked, libc } from "#kernel/libc.ts";
import { cString } from "#kernel/name-bytes.ts";
import { untilReadable } from "#kernel/readiness.ts";

const CLOEXEC_NONBLOCK = 0o2004000;
const IN_MODIFY = 2;
/** v1 tells when a cgroup runs out of memory; the kill, and its count, follow a moment later. */
const SETTLE_STEPS_MS = [0, 1, 5, 20, 50];

/** A descriptor that becomes readable with each event, and with the end of the cgroup. */
const openEvents = (files: CgroupFiles): number => {
  const directory = files.directory("memory") ?? files.cgroupPath;
  if (files.isV2) {
    const fd = checked(libc().inotify_init1(CLOEXEC_NONBLOCK), "inotify_init1", directory);
    const path = `${directory}/memory.events`;
    try {
      checked(libc().inotify_add_watch(fd, cString(path), IN_MODIFY), "inotify_add_watch", path);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    return fd;
  }
  const fd = checked(libc().eventfd(0, CLOEXEC_NONBLOCK), "eventfd", directory);
  const path = `${directory}/memory.oom_control`;
  try {
    const control = withErrno("open", path, () => openSync(path, "r"));
    try {
      files.write("memory", "cgroup.event_control", `${fd} ${control}`);
    } finally {
      closeSync(control);
    }
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return fd;
};

/** Undefined when the cgroup is gone. */
const killsNow = (files: CgroupFiles): number | undefined => {
  const file = files.isV2 ? "memory.events" : "memory.oom_control";
  return files.read("memory", file) === undefined ? undefined : readOomKills(files);
};

/** The first count that differs from `known`, or the last one read when none does. */
const settledKills = async (files: CgroupFiles, known: number): Promise<number | undefined> => {
  let kills = killsNow(files);
  for (const stepMs of SETTLE_STEPS_MS) {
    if (kills !== known) break;
    // oxlint-disable-next-line no-await-in-loop -- a bounded wait for a counter that follows its event
    await sleep(stepMs);
    kills = killsNow(files);
  }
  return kills;
};

export async function* watchOomKills(
  files: CgroupFiles,
  signal: AbortSignal,
): AsyncGenerator<number, void> {
  const fd = openEvents(files);
  const buffer = new Uint8Array(4096);
  try {
    let known = readOomKills(files);
    while (!signal.aborted) {
      // oxlint-disable-next-line no-await-in-loop -- one event after the other
      await untilReadable(fd, signal).catch((error: unknown) => {
        if (!signal.aborted) throw error;
      });
      if (signal.aborted) return;
      readSync(fd, buffer);
      // oxlint-disable-next-line no-await-in-loop -- see above
      const kills = await settledKills(files, known);
      if (kills === undefined) return;
      if (kills > known) yield kills;
      known = kills;
    }
  } finally {
    closeSync(fd);
  }
}
