/** docker cp, export, diff and sizes: reading and writing a container's tree from outside. */
import { statSync } from "node:fs";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { type ContainerRecord, isLive } from "#container/container.ts";
import { holdLiveRoot } from "#container/root.ts";
import type { Containers } from "#container/containers.ts";
import { ensureWorkingDirectory } from "#container/working-directory.ts";
import type { Engine } from "#container/engine.ts";
import type { ChangeResponse } from "#spec/docker/container.ts";

const O_PATH = 0o10000000;

/** The volumes and host directories of a container that does not run, where it would see them. */
const bindMounts = (engine: Engine, record: ContainerRecord, rootfs: string): void => {
  const { kernel } = engine.deps;
  for (const mount of record.mounts) {
    if (mount.Type !== "volume" && mount.Type !== "bind") continue;
    if (statSync(mount.Source, { throwIfNoEntry: false })?.isDirectory() !== true) continue;
    ensureWorkingDirectory(kernel, rootfs, mount.Destination);
    const target = kernel.openInRoot(rootfs, mount.Destination, O_PATH);
    try {
      kernel.mount(mount.Source, kernel.fdPath(target), "", ["bind", "rec"]);
    } finally {
      kernel.close(target);
    }
  }
};

/**
 * Gives a container's root: of a running one the mount it runs on; a stopped one's is mounted for as
 * long as somebody reads. Counted, so that two readers do not unmount each other.
 */
export class MountedRoots {
  readonly #readers = new Map<string, number>();

  acquire(engine: Engine, record: ContainerRecord): { readonly path: string } & Disposable {
    const { state } = record;
    // The container may end while its tree is read: the descriptor keeps the mount.
    if (isLive(state)) return holdLiveRoot(engine, { ...record, state });
    const path = engine.deps.snapshots.mount(record.id);
    const readers = (this.#readers.get(record.id) ?? 0) + 1;
    this.#readers.set(record.id, readers);
    // Unmounting the root takes these with it.
    if (readers === 1) bindMounts(engine, record, path);
    let isReleased = false;
    return {
      path,
      [Symbol.dispose]: () => {
        if (isReleased) return;
        isReleased = true;
        const left = (this.#readers.get(record.id) ?? 1) - 1;
        if (left > 0) return void this.#readers.set(record.id, left);
        this.#readers.delete(record.id);
        engine.deps.snapshots.unmount(record.id);
      },
    };
  }
}

/** Releases the root when the stream ends, fails or is cancelled. */
const releasing = (
  stream: ReadableStream<Uint8Array>,
  root: Disposable,
): ReadableStream<Uint8Array> => {
  const reader = stream.getReader();
  return new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        root[Symbol.dispose]();
        controller.close();
      } catch (error) {
        root[Symbol.dispose]();
        controller.error(error);
      }
    },
    cancel: async (reason) => {
      await reader.cancel(reason);
      root[Symbol.dispose]();
    },
  });
};

type ArchiveVerbs = Pick<
  Containers,
  "export" | "statPath" | "readArchive" | "writeArchive" | "changes" | "sizes"
>;

const hiddenPaths = (record: ContainerRecord): string[] => [
  ...record.mounts.map((mount) => mount.Destination),
  "/etc/hosts",
  "/etc/hostname",
  "/etc/resolv.conf",
  "/dev",
  "/proc",
  "/sys",
  "/.dockerenv",
  "/sbin/docker-init",
];

export const changesOf = (engine: Engine, record: ContainerRecord): Promise<ChangeResponse[]> =>
  engine.deps.snapshots
    .changes(record.id, { hiddenPaths: hiddenPaths(record) })
    .then((list) => list.map(({ path, kind }) => ({ Path: path, Kind: kind })));

export const diffOptionsOf = (record: ContainerRecord): { hiddenPaths: string[] } => ({
  hiddenPaths: hiddenPaths(record),
});

/** Docker refuses to write where only a mount that is read-only, or a read-only root, would take it. */
const assertWritable = (record: ContainerRecord, path: string): void => {
  const covering = record.mounts
    .filter((mount) => path === mount.Destination || path.startsWith(`${mount.Destination}/`))
    .toSorted((a, b) => b.Destination.length - a.Destination.length)[0];
  if (covering === undefined ? record.hostConfig.ReadonlyRootfs : !covering.RW) {
    const what = covering === undefined ? "container rootfs" : "mounted volume";
    throw new NaruError("permission_denied", `${what} is marked read-only`);
  }
};

/** A running container's own view, its tmpfs included; of a stopped one the mounted root. */
const located = (record: ContainerRecord, rootfs: string): string =>
  isLive(record.state) ? `/proc/${record.state.process.pid}/root` : rootfs;

/** Which container it was that lacks the file. */
const inWords = (container: string, thrown: unknown): unknown => {
  const { code, message, details } = toNaruError(thrown);
  return code === "not_found" && message.endsWith(" in container")
    ? new NaruError(code, `${message} ${container}`, { cause: thrown, details })
    : thrown;
};

export const archiveVerbs = (engine: Engine): ArchiveVerbs => ({
  changes: async (container) => changesOf(engine, engine.states.get(container)),
  sizes: async (container) => {
    const record = engine.states.get(container);
    const { sizeBytes: rw } = await engine.deps.snapshots.usage(record.id);
    const layers =
      record.imageChainId === undefined ? [] : engine.deps.snapshots.chain(record.imageChainId);
    return { rw, rootFs: rw + layers.reduce((sum, layer) => sum + layer.sizeBytes, 0) };
  },
  export: async (container, signal) => {
    const record = engine.states.get(container);
    const root = engine.roots.acquire(engine, record);
    engine.emit(record, "export");
    return releasing(engine.deps.archives.exportTree(root.path, signal), root);
  },
  statPath: async (container, path) => {
    const record = engine.states.get(container);
    using root = engine.roots.acquire(engine, record);
    try {
      return engine.deps.archives.statPath(located(record, root.path), path);
    } catch (error) {
      throw inWords(container, error);
    }
  },
  readArchive: async (container, path, signal) => {
    const record = engine.states.get(container);
    const root = engine.roots.acquire(engine, record);
    try {
      const rootfs = located(record, root.path);
      const stat = engine.deps.archives.statPath(rootfs, path);
      const tar = releasing(engine.deps.archives.readArchive(rootfs, path, signal), root);
      engine.emit(record, "archive-path");
      return { stat, tar };
    } catch (error) {
      root[Symbol.dispose]();
      throw inWords(container, error);
    }
  },
  writeArchive: async (container, path, tar, options) => {
    const record = engine.states.get(container);
    using root = engine.roots.acquire(engine, record);
    assertWritable(record, path);
    try {
      await engine.deps.archives.writeArchive(located(record, root.path), path, tar, options);
    } catch (error) {
      throw inWords(container, error);
    }
    engine.emit(record, "extract-to-dir");
  },
});
