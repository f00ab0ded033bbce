/**
 * A copy as the tar of the layer that it makes, without the files: what `runCopyPlan` would have written into a
 * writable snapshot, entry by entry in the order of a walk, attributes as that would have left them. Reads the source
 * and the files below; synchronous, for a child process.
 *
 * Only copies whose layer follows from the two trees are packed: one source, every directory on its way a real one.
 * Others throw failed_precondition, and are for `runCopyPlan`, which also has the words for what cannot be copied.
 */
import {
  type CopyItem,
  type CopyPlan,
  NEW_DIRECTORY,
  isCopiedXattr,
  modeOf,
  newDirectoryMode,
  ownerOf,
} from "#build/op/copy-plan.ts";
import type { FileKernel, FileStat } from "#kernel/kernel.ts";
import { nowNs } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import { NO_XATTRS } from "#lib/tar/entry.ts";
import { splitPath } from "#snapshot/directory-cache.ts";
import { type PackerOptions, TreePacker, entryType, isPortableXattr } from "#snapshot/tree-pack.ts";
import { DIRECTORY_FLAGS, statOrGone, walkTree } from "#snapshot/tree-walk.ts";
import { S_IFDIR, S_IFMT, WHITEOUT_PREFIX, isDirectory, isWhiteout } from "#snapshot/whiteout.ts";

type Xattrs = ReadonlyMap<string, Uint8Array>;
type Chunks = Generator<Uint8Array, void>;

/** A directory that was gone into, and the one below the layer at the same path. */
interface Level {
  /** Relative to the source. */
  readonly path: string;
  readonly belowFd: number | undefined;
  /** Somebody else closes it. */
  readonly isKept?: true;
}

/** Below the layer already, and not changed by the copy: part of it only with content of its own. */
interface Held {
  readonly path: string;
  readonly stat: FileStat;
  readonly xattrs: Xattrs;
}

const unsuited = (reason: string): NaruError =>
  new NaruError("failed_precondition", `the layer cannot be packed from its source: ${reason}`);

class CopyPacker {
  readonly #kernel: FileKernel;
  readonly #plan: CopyPlan;
  readonly #mtimeMaxSeconds: number;
  readonly #packer: TreePacker;
  readonly #nowSeconds = Number(nowNs() / 1_000_000_000n);
  readonly #levels: Level[] = [];
  #held: Held[] = [];

  constructor(kernel: FileKernel, plan: CopyPlan, options: PackOptions) {
    this.#kernel = kernel;
    this.#plan = plan;
    this.#packer = new TreePacker(kernel, "reused", { onEntry: options.onEntry, isStill: true });
    this.#mtimeMaxSeconds = options.mtimeMaxSeconds ?? Number.POSITIVE_INFINITY;
  }

  *run(item: CopyItem): Chunks {
    using open = new DisposableStack();
    const keep = (fd: number): number => open.adopt(fd, (one) => this.#kernel.close(one));
    const sourceFd = keep(this.#kernel.openInRoot(item.root, ".", DIRECTORY_FLAGS));
    const [parent, name] = splitPath(item.path);
    const parentFd = keep(this.#kernel.openInRoot(sourceFd, parent || ".", DIRECTORY_FLAGS));
    const stat = item.path === "" ? undefined : this.#kernel.statAt(parentFd, name);
    open.defer(() => this.#leaveTo(undefined));
    if (stat !== undefined && !isDirectory(stat)) {
      const [directory, base] = splitPath(item.target);
      yield* this.#way(directory, undefined, keep);
      yield* this.#leaf(item.target, parentFd, name, base, stat);
    } else {
      yield* this.#way(item.target, stat, keep);
      const fd = keep(this.#kernel.openInRoot(sourceFd, item.path || ".", DIRECTORY_FLAGS));
      yield* this.#content(item, fd);
    }
    yield* this.#packer.end();
  }

  /**
   * The directories that lead to what is copied. The last one that is there gets a new time with its new content; a
   * missing target has the source's attributes (`of`), missing ones above it those of any new directory.
   */
  *#way(path: string, of: FileStat | undefined, keep: (fd: number) => number): Chunks {
    let belowFd: number | undefined = keep(this.#open(this.#plan.targetRoot, "."));
    const names = path === "" ? [] : path.split("/");
    const mtime = { seconds: this.#nowSeconds, nanoseconds: 0 };
    const { uid, gid } = this.#plan.owner ?? { uid: 0, gid: 0 };
    const newMode = S_IFDIR | newDirectoryMode(this.#plan);
    for (const [index, name] of names.entries()) {
      const at = names.slice(0, index + 1).join("/");
      const below = this.#below(belowFd, name);
      if (below !== undefined && belowFd !== undefined) {
        this.#held.push({ path: at, stat: below, xattrs: this.#all(belowFd, name) });
        belowFd = keep(this.#open(belowFd, name));
        continue;
      }
      this.#touchLast(mtime);
      const isTarget = index === names.length - 1 && of !== undefined;
      if (!isTarget && this.#plan.mtimeSeconds !== undefined) {
        throw unsuited(`whether the new directory "${at}" keeps its time depends on its content`);
      }
      const stat = isTarget
        ? this.#changed(of)
        : { ...NEW_DIRECTORY, mode: newMode, uid, gid, mtime };
      yield* this.#directory(at, stat, NO_XATTRS);
      belowFd = undefined;
    }
    this.#touchLast(mtime);
    this.#levels.push({ path: "", belowFd, isKept: true });
  }

  *#content(item: CopyItem, fd: number): Chunks {
    const ignored = new Set(item.ignored);
    for (const { path, name, directoryFd, stat } of walkTree(this.#kernel, fd)) {
      if (ignored.has(path)) continue;
      this.#leaveTo(splitPath(path)[0]);
      const target = item.target === "" ? path : `${item.target}/${path}`;
      if (isDirectory(stat)) yield* this.#enter(path, target, directoryFd, name, stat);
      else yield* this.#leaf(target, directoryFd, name, name, stat);
    }
  }

  *#enter(path: string, target: string, fd: number, name: string, stat: FileStat): Chunks {
    const parentFd = this.#levels.at(-1)?.belowFd;
    const below = this.#below(parentFd, name);
    const later = this.#changed(stat);
    const own = this.#copied(fd, name);
    if (below === undefined || parentFd === undefined) {
      yield* this.#directory(target, later, own);
      this.#levels.push({ path, belowFd: undefined });
      return;
    }
    const all = [...new Map([...this.#all(parentFd, name), ...own])];
    const xattrs = new Map(all.toSorted(([a], [b]) => (a < b ? -1 : 1)));
    this.#held.push({ path: target, stat: later, xattrs });
    this.#levels.push({ path, belowFd: this.#open(parentFd, name) });
    const isSame = below.mode === later.mode && below.uid === later.uid && below.gid === later.gid;
    if (!isSame) yield* this.#release();
  }

  /** Everything that is no directory. */
  *#leaf(target: string, fd: number, name: string, newName: string, stat: FileStat): Chunks {
    const below = this.#below(this.#levels.at(-1)?.belowFd, newName, true);
    if (isWhiteout(stat)) throw unsuited(`the device "/${target}" would be a whiteout`);
    const type = entryType(stat);
    if (type === undefined) {
      // Sockets are not copied, but what is in their way is removed.
      if (below !== undefined) throw unsuited(`"/${target}" is removed, and nothing put there`);
      return;
    }
    yield* this.#release();
    const xattrs = type === "file" ? this.#copied(fd, name) : NO_XATTRS;
    const later = this.#changed(stat);
    const mode = type === "symlink" ? stat.mode : later.mode;
    yield* this.#packer.node(target, fd, name, { ...later, mode }, xattrs);
  }

  *#directory(path: string, stat: FileStat, xattrs: Xattrs): Chunks {
    this.#held.push({ path, stat, xattrs });
    yield* this.#release();
  }

  /** What is held has content. */
  *#release(): Chunks {
    for (const { path, stat, xattrs } of this.#held.splice(0)) {
      const mtime = this.#clamped(stat.mtime.seconds);
      yield* this.#packer.node(path, -1, "", { ...stat, mtime }, xattrs);
    }
  }

  #touchLast(mtime: FileStat["mtime"]): void {
    const last = this.#held.pop();
    if (last !== undefined) this.#held.push({ ...last, stat: { ...last.stat, mtime } });
  }

  /** Mode, owner and time of the copy. */
  #changed(stat: FileStat): FileStat {
    const { uid, gid } = ownerOf(this.#plan, stat);
    const mode = (stat.mode & S_IFMT) | modeOf(this.#plan, stat);
    const mtime = this.#clamped(this.#plan.mtimeSeconds ?? stat.mtime.seconds);
    return { ...stat, mode, uid, gid, mtime };
  }

  #clamped(seconds: number): FileStat["mtime"] {
    return { seconds: Math.min(seconds, this.#mtimeMaxSeconds), nanoseconds: 0 };
  }

  /** A directory, or nothing, where one is to be; where a leaf is to be, anything but a directory. */
  #below(fd: number | undefined, name: string, isLeaf = false): FileStat | undefined {
    if (name.startsWith(WHITEOUT_PREFIX)) throw unsuited(`"${name}" would be a whiteout`);
    const stat = fd === undefined ? undefined : statOrGone(this.#kernel, fd, name);
    if (stat === undefined || isDirectory(stat) !== isLeaf) return stat;
    throw unsuited(`"${name}" is there already and ${isLeaf ? "a" : "no"} directory`);
  }

  #open(root: number | string, name: string): number {
    const fd =
      typeof root === "string"
        ? this.#kernel.openInRoot(root, name, DIRECTORY_FLAGS)
        : this.#kernel.openAt(root, name, DIRECTORY_FLAGS);
    // Access lists of a directory go over to what is made in it.
    const names = this.#kernel.listXattrs(`${this.#kernel.fdPath(fd)}/.`);
    if (!names.some((key) => key.startsWith("system."))) return fd;
    this.#kernel.close(fd);
    throw unsuited(`the directory "${name}" has access lists`);
  }

  #copied(fd: number, name: string): Xattrs {
    return this.#plan.items[0]?.hasNoXattrs === true
      ? NO_XATTRS
      : this.#xattrs(fd, name, isCopiedXattr);
  }

  #all(fd: number, name: string): Xattrs {
    return this.#xattrs(fd, name, isPortableXattr);
  }

  #xattrs(fd: number, name: string, isWanted: (key: string) => boolean): Xattrs {
    const path = `${this.#kernel.fdPath(fd)}/${name}`;
    const names = this.#kernel.listXattrs(path);
    if (names.length === 0) return NO_XATTRS;
    const values = new Map<string, Uint8Array>();
    for (const key of names.filter(isWanted).toSorted()) {
      const value = this.#kernel.getXattr(path, key);
      if (value !== undefined) values.set(key, value);
    }
    return values;
  }

  /** Out of directories up to the one at `path`; what is still held of those had no content. */
  #leaveTo(path: string | undefined): void {
    for (let level = this.#levels.at(-1); level !== undefined; level = this.#levels.at(-1)) {
      if (level.path === path) return;
      this.#levels.pop();
      this.#held.pop();
      const { belowFd, isKept } = level;
      if (belowFd !== undefined && isKept !== true) this.#kernel.close(belowFd);
    }
    if (path !== undefined) throw unsuited(`"${path}" is left out, and something in it is not`);
  }
}

export interface PackOptions {
  /** Hears of each entry and of where its content begins in the tar. */
  readonly onEntry?: PackerOptions["onEntry"];
  /** As in `SealOptions`. */
  readonly mtimeMaxSeconds?: number | undefined;
}

/** Chunks of the tar, each valid until the next. Throws failed_precondition for copies that are not to be packed. */
export function* packCopyPlan(
  kernel: FileKernel,
  plan: CopyPlan,
  options: PackOptions = {},
): Generator<Uint8Array, void> {
  const [item] = plan.items;
  if (item === undefined || plan.items.length > 1) throw unsuited("it has several sources");
  if (item.isUnpacked) throw unsuited("an archive is unpacked");
  yield* new CopyPacker(kernel, plan, options).run(item);
}
