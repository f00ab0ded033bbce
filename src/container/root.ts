/**
 * Where a container's root is. A running one's is mounted in the mount namespace of its conmon and
 * nowhere else: it goes with the container, whatever becomes of the daemon, and a thousand running
 * containers add nothing to the host's table of mounts, which each new container copies.
 */
import { closeSync, constants, openSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import type { ContainerRecord, LiveRecord } from "#container/container.ts";
import type { Engine } from "#container/engine.ts";
import type { RuntimeMount } from "#spec/runtime/config.ts";

const O_PATH = 0o10000000;

/** A mount that hands on to the host what is mounted inside: then it must be of the host's own. */
const isSharedWithHost = (mounts: readonly RuntimeMount[]): boolean =>
  mounts.some(({ options }) => options.includes("shared") || options.includes("rshared"));

export interface StartRoot {
  /** As the runtime names it, in its own mount namespace. */
  readonly rootfs: string;
  /** The same tree as this process reaches it, until `close`. */
  readonly path: string;
  close(): void;
}

/** Mounts the root and calls `spawn` where the mount can be seen. */
export const mountAround = <T>(
  engine: Engine,
  record: ContainerRecord,
  userMounts: readonly RuntimeMount[],
  spawn: () => T,
): { readonly root: StartRoot; readonly spawned: T } => {
  const { kernel, snapshots } = engine.deps;
  if (isSharedWithHost(userMounts)) {
    const rootfs = snapshots.mount(record.id);
    return { root: { rootfs, path: rootfs, close: () => undefined }, spawned: spawn() };
  }
  return kernel.inNewMountNamespace(() => {
    const root = mountHere(engine, record);
    try {
      return { root, spawned: spawn() };
    } catch (error) {
      root.close();
      throw error;
    }
  });
};

/** Mounts for the namespace that this thread is in. */
const mountHere = (
  { deps: { kernel, snapshots } }: Engine,
  { id, hostConfig }: ContainerRecord,
): StartRoot => {
  // With `--rm` its files go when it ends, and also where the machine does: nothing of them need reach the disk.
  const rootfs = snapshots.mountInNamespace(id, hostConfig.AutoRemove);
  const fd = openSync(rootfs, O_PATH | constants.O_DIRECTORY);
  return { rootfs, path: kernel.fdPath(fd), close: () => closeSync(fd) };
};

/** Mounts the root where a monitor that was loaded before sees it. */
export const mountWithin = (
  engine: Engine,
  record: ContainerRecord,
  conmonPid: number,
): StartRoot => engine.deps.kernel.inMountNamespaceOf(conmonPid, () => mountHere(engine, record));

/** A live container's root as its image and it left it: without what is mounted inside. */
export const liveRootOf = (engine: Engine, { id, state }: LiveRecord): string =>
  `/proc/${state.process.conmonPid}/root${engine.deps.snapshots.paths(id).merged}`;

/** A directory as a path that outlives its last mount, for this process and its children. Throws conflict. */
const hold = (id: string, directory: string): { readonly path: string } & Disposable => {
  let fd: number;
  try {
    fd = openSync(directory, O_PATH | constants.O_DIRECTORY);
  } catch (cause) {
    const message = `container ${id} is just ending: its files can be read in a moment`;
    throw new NaruError("conflict", message, { cause });
  }
  return { path: `/proc/${process.pid}/fd/${fd}`, [Symbol.dispose]: () => closeSync(fd) };
};

/** The mount a running container is on, without what is mounted in it. */
export const holdLiveRoot = (engine: Engine, record: LiveRecord) =>
  hold(record.id, liveRootOf(engine, record));

/** A running container's root as its processes see it; what is mounted in it goes with the last of them. */
export const holdInside = ({ id, state }: LiveRecord) =>
  hold(id, `/proc/${state.process.pid}/root`);
