/**
 * Named points at which a test kills the daemon with SIGKILL, to show that nothing acknowledged is
 * lost and nothing half-made stays. Unarmed (always, outside tests) a point costs one comparison.
 */
export const FAILPOINTS = [
  "create.before-snapshot",
  "create.after-snapshot",
  "create.before-row",
  "create.after-row",
  "start.before-mount",
  "start.after-mount",
  "start.after-network",
  "start.after-runtime-create",
  "start.after-runtime-start",
  "start.after-row",
  "stop.after-signal",
  "exit.before-row",
  "exit.after-row",
  "exec.after-start",
  "commit.after-layer",
  "commit.before-row",
  "remove.after-row",
  "remove.before-row",
  "remove.after-snapshot",
  "rename.before-row",
  "load.mid-layer",
  "load.before-reference",
  "pull.before-layer",
  "pull.mid-layer",
  "pull.before-reference",
  "build.after-context",
  "build.mid-step",
  "build.before-layer",
  "build.before-row",
  "build.before-image",
  "volume.after-directory",
  "volume-rename.after-row",
  "volume-rename.after-directory",
  "volume-mount.after-mount",
  "volume-remove.after-row",
  "volume-undo.after-row",
  "undo.after-row",
  "volume-copy.after-pause",
  "volume-copy.after-copy",
  "image-remove.after-row",
  "network.after-row",
  "network.after-bridge",
  "network-remove.after-row",
  "connect.after-wire",
  "ports.after-publish",
] as const;

export type Failpoint = (typeof FAILPOINTS)[number];

let armed: string | undefined;

/** Throws RangeError for a name that does not exist: a typo must not make a crash test pass. */
export const armFailpoint = (name: string): void => {
  if (!(FAILPOINTS as readonly string[]).includes(name))
    throw new RangeError(`no failpoint "${name}"`);
  armed = name;
};

export const failpoint = (name: Failpoint): void => {
  if (armed !== undefined && armed === name) process.kill(process.pid, "SIGKILL");
};
