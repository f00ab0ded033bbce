/**
 * Copies files of one tree into another. The target is a mounted, writable root; its paths are resolved by
 * the kernel inside it, and what is made is made relative to a descriptor. Synchronous in steps: it runs in
 * the daemon for few files, in a child process for many.
 */
import { closeSync, constants, copyFileSync, fchmodSync, fchownSync, openSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import type { FileKernel, FileStat } from "#kernel/kernel.ts";
import {
  type CopyItem,
  type CopyPlan,
  PLAIN_DIRECTORY_MODE,
  isCopiedXattr,
  modeOf,
  newDirectoryMode,
  ownerOf,
} from "#build/op/copy-plan.ts";
import { archiveBytes } from "#build/op/archive.ts";
import type { CopyTeller } from "#build/op/copy-teller.ts";
import { nowNs } from "#lib/clock.ts";
import { errnoOf, splitPath } from "#snapshot/directory-cache.ts";
import { encodeName } from "#lib/tar/name-bytes.ts";
import { TarParser } from "#lib/tar/parser.ts";
import { removeTreeAt } from "#snapshot/remove-tree.ts";
import { DIRECTORY_FLAGS, statOrGone, walkTree } from "#snapshot/tree-walk.ts";
import { TreeWriter } from "#snapshot/tree-writer.ts";
import {
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  isDirectory,
  isWhiteout,
} from "#snapshot/whiteout.ts";

const refuse = (message: string, cause?: unknown): never => {
  throw new NaruError("failed_precondition", message, cause === undefined ? {} : { cause });
};

/** node:fs takes names that are not UTF-8 only as bytes. */
const pathIn = (directory: string, name: string): string | Buffer => {
  const path = `${directory}/${name}`;
  return path.isWellFormed() ? path : Buffer.from(encodeName(path));
};

class TreeCopier {
  readonly #kernel: FileKernel;
  readonly #plan: CopyPlan;
  readonly #targetFd: number;
  /** Hears of what was made. */
  readonly #teller: CopyTeller | undefined;
  /** First copy of an inode with several names. */
  #links = new Map<string, readonly [parent: string, name: string]>();

  constructor(kernel: FileKernel, plan: CopyPlan, targetFd: number, teller?: CopyTeller) {
    this.#kernel = kernel;
    this.#plan = plan;
    this.#targetFd = targetFd;
    this.#teller = teller;
  }

  async run(item: CopyItem): Promise<void> {
    this.#links = new Map();
    const sourceFd = this.#kernel.openInRoot(item.root, ".", DIRECTORY_FLAGS);
    try {
      const [parent, name] = splitPath(item.path);
      const parentFd = this.#kernel.openInRoot(sourceFd, parent || ".", DIRECTORY_FLAGS);
      try {
        const stat = item.path === "" ? undefined : this.#kernel.statAt(parentFd, name);
        if (item.isUnpacked) await this.#unpack(item, parentFd, name);
        else if (stat === undefined || isDirectory(stat)) this.#directory(item, sourceFd, stat);
        else this.#single(item.target, parentFd, name, stat);
      } finally {
        this.#kernel.close(parentFd);
      }
    } finally {
      this.#kernel.close(sourceFd);
    }
  }

  async #unpack(item: CopyItem, parentFd: number, name: string): Promise<void> {
    this.#teller?.tell({ odd: true });
    this.#kernel.close(this.#makeDirectory(item.target, undefined, PLAIN_DIRECTORY_MODE));
    const { unpackedOwner: owner } = this.#plan;
    using writer = new TreeWriter({
      kernel: this.#kernel,
      rootFd: this.#targetFd,
      isLayer: false,
      base: item.target,
      ...(owner === undefined ? {} : { owner }),
    });
    const parser = new TarParser(writer);
    const fd = this.#kernel.openAt(parentFd, name, constants.O_RDONLY);
    try {
      for await (const chunk of archiveBytes(this.#kernel.fdPath(fd))) {
        parser.push(chunk);
        if (parser.isEnded) break;
      }
    } finally {
      this.#kernel.close(fd);
    }
    parser.end();
    writer.finish();
  }

  #single(target: string, parentFd: number, name: string, stat: FileStat): void {
    const [directory, base] = splitPath(target);
    const fd = this.#makeDirectory(directory);
    try {
      this.#node(parentFd, name, stat, fd, base, target);
    } finally {
      this.#kernel.close(fd);
    }
  }

  /** The content of a directory; `stat` undefined for a whole tree, whose own mode says nothing. */
  #directory(item: CopyItem, sourceFd: number, stat: FileStat | undefined): void {
    const isNew = !this.#isThere(item.target);
    this.#kernel.close(this.#makeDirectory(item.target));
    const fd = this.#kernel.openInRoot(sourceFd, item.path || ".", DIRECTORY_FLAGS);
    const ignored = new Set(item.ignored);
    const late: [string, FileStat][] = [];
    if (isNew && stat !== undefined) this.#tellDirectory(item.target, stat, false);
    const isFixed = isNew && stat === undefined && this.#teller !== undefined;
    let fixed = isFixed ? this.#fixTime(item.target, false) : undefined;
    try {
      for (const node of walkTree(this.#kernel, fd)) {
        if (ignored.has(node.path)) continue;
        if (!isNew) fixed ??= this.#fixTime(item.target, true);
        const target = item.target === "" ? node.path : `${item.target}/${node.path}`;
        if (isDirectory(node.stat)) {
          const isOld = this.#teller !== undefined && this.#isThere(target);
          this.#kernel.close(this.#makeDirectory(target, node.stat));
          this.#copyXattrs(node.directoryFd, node.name, ...this.#place(target));
          this.#tellDirectory(target, node.stat, isOld);
          late.push([target, node.stat]);
          continue;
        }
        const [directory, base] = splitPath(target);
        const targetFd = this.#makeDirectory(directory);
        try {
          this.#node(node.directoryFd, node.name, node.stat, targetFd, base, target);
        } finally {
          this.#kernel.close(targetFd);
        }
      }
    } finally {
      this.#kernel.close(fd);
    }
    if (stat !== undefined && isNew) late.push([item.target, stat]);
    for (const [path, of] of late.toReversed()) this.#finishDirectory(path, of);
    if (fixed !== undefined) this.#setTime(item.target, fixed);
  }

  #tellDirectory(path: string, stat: FileStat, isOld: boolean): void {
    if (path === "" || this.#teller === undefined) return;
    const { uid, gid } = ownerOf(this.#plan, stat);
    const mode = S_IFDIR | modeOf(this.#plan, stat);
    const directory = { mode, uid, gid, mtime: this.#time(stat).seconds };
    this.#teller.tell({ path, directory, isOld });
  }

  /**
   * What is made in a directory changes its time, and what is made deeper does not: one whose time is not the source's
   * gets, however it is copied to, one that is known before, and again at the end. An old one is in the layer from now on, with those above it.
   */
  #fixTime(path: string, isOld: boolean): FileStat["mtime"] | undefined {
    if (path === "") return undefined;
    const time = { seconds: Number(nowNs() / 1_000_000_000n), nanoseconds: 0 };
    this.#setTime(path, time);
    const [directory, base] = splitPath(path);
    const fd = this.#kernel.openInRoot(this.#targetFd, directory || ".", DIRECTORY_FLAGS);
    try {
      const { mode, uid, gid } = this.#kernel.statAt(fd, base);
      this.#teller?.tell({ path, directory: { mode, uid, gid, mtime: time.seconds }, isOld });
    } finally {
      this.#kernel.close(fd);
    }
    return time;
  }

  #setTime(path: string, time: FileStat["mtime"]): void {
    const [directory, base] = splitPath(path);
    const fd = this.#kernel.openInRoot(this.#targetFd, directory || ".", DIRECTORY_FLAGS);
    try {
      this.#kernel.setTimesAt(fd, base, time, time);
    } finally {
      this.#kernel.close(fd);
    }
  }

  #finishDirectory(path: string, stat: FileStat): void {
    if (path === "") return;
    const [directory, base] = splitPath(path);
    const fd = this.#kernel.openInRoot(this.#targetFd, directory || ".", DIRECTORY_FLAGS);
    try {
      // A symlink to a directory stands for it and keeps what it points to as it is.
      if (!isDirectory(this.#kernel.statAt(fd, base))) return;
      this.#own(fd, base, stat);
      this.#kernel.setTimesAt(fd, base, this.#time(stat), this.#time(stat));
    } finally {
      this.#kernel.close(fd);
    }
  }

  #time(stat: FileStat): FileStat["mtime"] {
    const { mtimeSeconds } = this.#plan;
    return mtimeSeconds === undefined ? stat.mtime : { seconds: mtimeSeconds, nanoseconds: 0 };
  }

  #place(target: string): readonly [parent: string, name: string] {
    return splitPath(target);
  }

  #isThere(path: string): boolean {
    if (path === "") return true;
    try {
      this.#kernel.close(this.#kernel.openInRoot(this.#targetFd, path, DIRECTORY_FLAGS));
      return true;
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return false;
      if (errnoOf(error) !== "ENOTDIR") throw error;
      return refuse(`cannot copy to non-directory: /${path}`, error);
    }
  }

  /** The directory's descriptor; missing ones are made. */
  #makeDirectory(path: string, stat?: FileStat, mode = newDirectoryMode(this.#plan)): number {
    const open = (part: string): number =>
      this.#kernel.openInRoot(this.#targetFd, part === "" ? "." : part, DIRECTORY_FLAGS);
    try {
      return open(path);
    } catch (error) {
      if (errnoOf(error) === "ENOTDIR") {
        return refuse(`cannot copy to non-directory: /${path}`, error);
      }
      if (errnoOf(error) !== "ENOENT") throw error;
    }
    const [parent, name] = splitPath(path);
    const parentFd = this.#makeDirectory(parent, undefined, mode);
    try {
      this.#kernel.mkdirAt(parentFd, name, mode);
      const { uid, gid } = this.#plan.owner ?? stat ?? { uid: 0, gid: 0 };
      this.#kernel.chownAt(parentFd, name, uid, gid);
      this.#kernel.chmodAt(parentFd, name, mode);
      const { mtimeSeconds } = this.#plan;
      if (mtimeSeconds !== undefined) {
        const time = { seconds: mtimeSeconds, nanoseconds: 0 };
        this.#kernel.setTimesAt(parentFd, name, time, time);
      }
    } catch (error) {
      if (errnoOf(error) === "EEXIST") return refuse(`cannot copy to non-directory: /${path}`);
      throw error;
    } finally {
      this.#kernel.close(parentFd);
    }
    return open(path);
  }

  #clear(fd: number, name: string, path: string): void {
    const old = statOrGone(this.#kernel, fd, name);
    if (old === undefined) return;
    if (isDirectory(old)) refuse(`cannot copy to directory: /${path}`);
    removeTreeAt(this.#kernel, fd, name);
  }

  /** Everything that is no directory. Sockets cannot be copied. */
  #node(
    fromFd: number,
    fromName: string,
    stat: FileStat,
    toFd: number,
    name: string,
    path: string,
  ): void {
    if (isWhiteout(stat))
      refuse(`cannot copy the device 0:0 to /${path}: in layers it is a deletion`);
    const key = `${stat.dev}:${stat.ino}`;
    const first = stat.nlink > 1 ? this.#links.get(key) : undefined;
    this.#clear(toFd, name, path);
    if (first !== undefined) {
      const [parent, linked] = first;
      const linkFd = this.#kernel.openInRoot(this.#targetFd, parent || ".", DIRECTORY_FLAGS);
      try {
        this.#kernel.linkAt(linkFd, linked, toFd, name);
      } finally {
        this.#kernel.close(linkFd);
      }
      this.#teller?.tell({ odd: true });
      return;
    }
    switch (stat.mode & S_IFMT) {
      case S_IFREG:
        this.#file(fromFd, fromName, stat, toFd, name);
        break;
      case S_IFLNK: {
        this.#kernel.symlinkAt(this.#kernel.readlinkAt(fromFd, fromName), toFd, name);
        const { uid, gid } = ownerOf(this.#plan, stat);
        this.#kernel.chownAt(toFd, name, uid, gid);
        break;
      }
      case S_IFCHR:
      case S_IFBLK:
      case S_IFIFO:
        this.#kernel.mknodAt(toFd, name, stat.mode, stat.rdevMajor, stat.rdevMinor);
        this.#own(toFd, name, stat);
        break;
      default:
        return;
    }
    this.#kernel.setTimesAt(toFd, name, this.#time(stat), this.#time(stat));
    if (stat.nlink > 1) this.#links.set(key, splitPath(path));
    this.#teller?.tell({ path });
  }

  #file(fromFd: number, fromName: string, stat: FileStat, toFd: number, name: string): void {
    const target = pathIn(this.#kernel.fdPath(toFd), name);
    if (stat.size === 0) {
      closeSync(openSync(target, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600));
    } else {
      const source = pathIn(this.#kernel.fdPath(fromFd), fromName);
      copyFileSync(source, target, constants.COPYFILE_EXCL);
    }
    const fd = openSync(target, constants.O_WRONLY | constants.O_NOFOLLOW);
    try {
      const { uid, gid } = ownerOf(this.#plan, stat);
      fchownSync(fd, uid, gid);
      fchmodSync(fd, modeOf(this.#plan, stat));
    } finally {
      closeSync(fd);
    }
    this.#copyXattrs(fromFd, fromName, undefined, name, toFd);
  }

  #own(fd: number, name: string, stat: FileStat): void {
    const { uid, gid } = ownerOf(this.#plan, stat);
    this.#kernel.chownAt(fd, name, uid, gid);
    this.#kernel.chmodAt(fd, name, modeOf(this.#plan, stat));
  }

  #copyXattrs(
    fromFd: number,
    fromName: string,
    parent: string | undefined,
    name: string,
    openFd?: number,
  ): void {
    const from = `${this.#kernel.fdPath(fromFd)}/${fromName}`;
    const names = this.#kernel.listXattrs(from).filter(isCopiedXattr);
    if (names.length === 0) return;
    const fd = openFd ?? this.#kernel.openInRoot(this.#targetFd, parent || ".", DIRECTORY_FLAGS);
    try {
      // Of a directory that a symlink stands for, as in #finishDirectory: it has none of them.
      if (openFd === undefined && !isDirectory(this.#kernel.statAt(fd, name))) return;
      for (const key of names) {
        const value = this.#kernel.getXattr(from, key);
        if (value === undefined) continue;
        this.#kernel.setXattr(`${this.#kernel.fdPath(fd)}/${name}`, key, value);
      }
    } finally {
      if (openFd === undefined) this.#kernel.close(fd);
    }
  }
}

/** What was written before an error stays: the target is thrown away then. */
export const runCopyPlan = async (
  kernel: FileKernel,
  plan: CopyPlan,
  teller?: CopyTeller,
): Promise<void> => {
  const targetFd = kernel.openInRoot(plan.targetRoot, ".", DIRECTORY_FLAGS);
  try {
    const copier = new TreeCopier(kernel, plan, targetFd, teller);
    for (const item of plan.items) await copier.run(item);
    teller?.tell({ end: true });
  } finally {
    kernel.close(targetFd);
  }
};
