/** docker cp, export, diff and sizes: reading and writing a container's tree from outside. */
import { statSync } from "node:fs";
import { hasCode, NaruError, toNaruError } from "#lib/errors.ts";
import { type ContainerRecord, isLive } from "#container/container.ts";
import { holdInside, holdLiveRoot } from "#container/root.ts";
import type { Containers } from "#container/containers.ts";
import { ensureWorkingDirectory } from "#container/working-directory.ts";
import type { Engine } from "#container/engine.ts";
import type { View } from "#snapshot/snapshot.ts";
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

/** What of a running container: its own view with what is mounted in it, or its image's and its own files alone. */
type Look = "inside" | "files";

/**
 * Gives a container's root: of a running one the mount it runs on; a stopped one's is mounted for as
 * long as somebody reads, aside from where a start mounts it. Shared by those who come between two runs:
 * what another run changes below a mount, that mount need not see.
 */
export class MountedRoots {
  readonly #shared = new Map<string, { readonly view: View; readers: number }>();

  /** Throws conflict where a process has just ended and its record does not know of it yet. */
  acquire(engine: Engine, record: ContainerRecord, look: Look): HeldRoot["root"] {
    const { state } = record;
    // The container may end while its tree is read: the descriptor keeps the mount.
    if (isLive(state)) {
      const live = { ...record, state };
      return look === "inside" ? holdInside(live) : holdLiveRoot(engine, live);
    }
    const key = `${record.id} ${state.startedAt}`;
    const shared = this.#shared.get(key) ?? this.#mount(engine, record, key);
    shared.readers += 1;
    let isReleased = false;
    return {
      path: shared.view.path,
      [Symbol.dispose]: () => {
        if (isReleased) return;
        isReleased = true;
        shared.readers -= 1;
        if (shared.readers > 0) return;
        this.#shared.delete(key);
        shared.view[Symbol.dispose]();
      },
    };
  }

  #mount(engine: Engine, record: ContainerRecord, key: string): { view: View; readers: number } {
    const view = engine.deps.snapshots.viewActive(record.id);
    try {
      bindMounts(engine, record, view.path);
    } catch (error) {
      view[Symbol.dispose]();
      throw error;
    }
    const shared = { view, readers: 0 };
    this.#shared.set(key, shared);
    return shared;
  }
}

/** How long an ended process's record may be behind. */
const ENDING_TIMEOUT_MS = 10_000;

interface HeldRoot {
  readonly record: ContainerRecord;
  readonly root: { readonly path: string } & Disposable;
}

/** The root now, and whose; a container that is just ending is waited for. */
const held = async (engine: Engine, container: string, look: Look): Promise<HeldRoot> => {
  const record = engine.states.get(container);
  try {
    return { record, root: engine.roots.acquire(engine, record, look) };
  } catch (error) {
    if (!isLive(record.state) || !hasCode(error, "conflict")) throw error;
    const signal = AbortSignal.timeout(ENDING_TIMEOUT_MS);
    await engine.waiters.wait(record, "not-running", signal).catch(() => {
      throw error;
    });
  }
  return await held(engine, record.id, look);
};

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
  "/etc/mtab",
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

/** Docker's SizeRw. */
export const writtenBytes = async ({ deps }: Engine, id: string): Promise<number> => {
  return (await deps.snapshots.usage(id)).sizeBytes;
};

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
    const rw = await writtenBytes(engine, record.id);
    const layers =
      record.imageChainId === undefined ? [] : engine.deps.snapshots.chain(record.imageChainId);
    return { rw, rootFs: rw + layers.reduce((sum, layer) => sum + layer.sizeBytes, 0) };
  },
  export: async (container, signal) => {
    const { record, root } = await held(engine, container, "files");
    engine.emit(record, "export");
    return releasing(engine.deps.archives.exportTree(root.path, signal), root);
  },
  statPath: async (container, path) => {
    using root = (await held(engine, container, "inside")).root;
    try {
      return engine.deps.archives.statPath(root.path, path);
    } catch (error) {
      throw inWords(container, error);
    }
  },
  readArchive: async (container, path, signal) => {
    const { record, root } = await held(engine, container, "inside");
    try {
      const stat = engine.deps.archives.statPath(root.path, path);
      const tar = releasing(engine.deps.archives.readArchive(root.path, path, signal), root);
      engine.emit(record, "archive-path");
      return { stat, tar };
    } catch (error) {
      root[Symbol.dispose]();
      throw inWords(container, error);
    }
  },
  writeArchive: async (container, path, tar, options) => {
    const { record, root: found } = await held(engine, container, "inside");
    using root = found;
    assertWritable(record, path);
    try {
      await engine.deps.archives.writeArchive(root.path, path, tar, options);
    } catch (error) {
      throw inWords(container, error);
    }
    engine.emit(record, "extract-to-dir");
  },
});
